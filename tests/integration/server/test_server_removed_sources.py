"""What retention removed of a source is not lost; what is missing of the rest is."""

from sensorpipe_schema.partial import Origin, Partial, encode
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.levels import DAY
from sensorpipe_server.storage.rollups.rolling import Rolling
from support.server_parts import NOW, client_of, store, summary

pytest_plugins = ["support.server_fixtures"]

START = 1_700_000_000_000 - 1_700_000_000_000 % DAY.length_ms


def message(day: int, seq: int, src: str = "run") -> bytes:
    """Return a partial with one reading of the first window of a day."""
    start = START + day * DAY.length_ms
    origin = Origin("c", 7, 100 * len(src) + seq)
    return encode(
        Partial("hall_1", start, start + 10_000, origin, {"t": summary([(seq, 1.0)], src)})
    )


def rolling(db, days: int) -> Rolling:
    """Return what removes all that is older than so many days, of every level."""
    return Rolling(
        db,
        lambda: True,
        clock=NOW.timestamp,
        pace=Pace(1.0),
        keep=lambda _level: days * DAY.length_ms,
    )


async def integrity(db):
    async with client_of(db) as client:
        return (await client.get("/api/integrity")).json()


async def test_what_was_removed_of_a_source_is_not_lost(db):
    every_day = [message(day, day + 1) for day in range(13) if day != 5]
    began_later = message(11, 5, "new")
    await store(db, *every_day, began_later)
    before = await integrity(db)
    assert before["totals"] | {"lost": 1 + 4, "removed": 0} == before["totals"]
    assert before["removed_before"] == {}

    await rolling(db, days=10).round()
    after = await integrity(db)
    new, run = after["data"]
    assert run | {"first": 3, "last": 13, "count": 10, "lost": 1, "removed": 2} == run
    assert new | {"first": 5, "count": 1, "lost": 4, "removed": 0} == new
    assert after["totals"] | {"lost": 1 + 4, "removed": 2} == after["totals"]
    assert after["removed_before"] == {"hall_1": "2023-11-16T00:00:00Z"}
