"""Pages of windows after a removal that did not end: they show what their total counts."""

import pytest
from sensorpipe_schema.partial import Origin, Partial, encode
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.levels import DAY, WINDOWS
from sensorpipe_server.storage.rollups.rolling import Rolling
from sensorpipe_server.storage.rollups.state import RollupState
from support.server_parts import NOW, client_of, store, summary

pytest_plugins = ["support.server_fixtures"]

START = 1_700_000_000_000 - 1_700_000_000_000 % DAY.length_ms


def message(day: int) -> bytes:
    """Return a partial with one reading of the first window of a day."""
    start = START + day * DAY.length_ms
    found = {"t": summary([(day + 1, 1.0)])}
    return encode(Partial("hall_1", start, start + 10_000, Origin("c", 7, day + 1), found))


@pytest.mark.parametrize("query", ["limit=20", "limit=20&cursor=", "limit=20&sensors=t", "limit=1"])
async def test_a_page_shows_no_window_whose_time_was_removed(db, query):
    await store(db, *map(message, range(4)))
    await Rolling(db, lambda: True, clock=NOW.timestamp, pace=Pace(1.0)).round()
    # the server died before it deleted what it removed, or another one with a refused partial
    assert await RollupState(db).remove("hall_1", WINDOWS, START + 2 * DAY.length_ms, 0)
    assert await database.windows(db).count_documents({}) == 4
    shown: list[str] = []
    async with client_of(db) as client:
        while True:
            page = (await client.get(f"/api/sensors/hall_1?{query}")).json()
            shown += [each["window"]["start_time"] for each in page["data"]]
            assert page["pagination"].get("total", 2) == 2
            if "next" not in page["pagination"]:
                break
            query = f"limit=1&cursor={page['pagination']['next']}"
    assert len(shown) == 2
