"""What rollups answer is what the windows answer: with late data, duplicates, gaps and edges."""

import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.levels import DAY, FIVE_MINUTES, HOUR
from sensorpipe_server.storage.rollups.rolling import Rolling
from support.random_partials import Publishers, put, text
from support.server_parts import NOW

pytest_plugins = ["support.server_fixtures"]

START = 1_700_000_000_000 - 1_700_000_000_000 % DAY.length_ms
END = START + 2 * DAY.length_ms + 3 * HOUR.length_ms

MOMENTS = [
    START,
    START + 10_000,
    START + FIVE_MINUTES.length_ms,
    START + HOUR.length_ms + 7,
    START + DAY.length_ms,
    START + DAY.length_ms + 5 * HOUR.length_ms + 123_000,
    START + 2 * DAY.length_ms + HOUR.length_ms,
    END + DAY.length_ms,
]


def paths(rng: random.Random) -> Iterator[str]:
    """Yield requests for ranges, pages and everything."""
    yield "/api/integrity"
    yield "/api/integrity?facility=hall_2"
    yield "/api/stats?sensors=t,u,v"
    yield "/api/stats?sensors=t&facility=hall_1"
    for _ in range(12):
        start, end = sorted(rng.sample(MOMENTS, 2))
        between = f"from={text(start)}&to={text(end)}"
        yield f"/api/stats?sensors=t,v&{between}"
        for sensors in ("", "&sensors=u", "&sensors=t,u"):
            offset = rng.choice((0, 1, 7, 60, 150, 1000))
            yield f"/api/sensors/hall_1?limit=5&offset={offset}&{between}{sensors}"


def close(found: Any, expected: Any) -> None:
    """Assert that two answers are the same, but for rounding."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            close(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            close(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    else:
        assert found == expected


@pytest.mark.parametrize("seed", range(3))
async def test_rollups_and_edges_answer_what_the_windows_answer(db, client, seed):
    publishers = Publishers(seed)
    await put(db, *publishers.partials(START, END, 300))
    now = NOW.timestamp() + 3 * 3600
    rolling = Rolling(db, lambda: True, clock=lambda: now, pace=Pace(1.0))
    await rolling.round()
    asked = list(paths(publishers.random))
    await put(db, *publishers.partials(START, START + 90 * 60_000, 3))  # late: marked
    await put(db, *publishers.partials(END, END + HOUR.length_ms, 20))  # not done yet
    assert await database.rollup_dirty(db).count_documents({}) > 0
    found = [(await client.get(path)).json() for path in asked]
    for collection in (database.rollups, database.rollup_state, database.rollup_dirty):
        await collection(db).drop()
    for path, one in zip(asked, found, strict=True):
        close(one, (await client.get(path)).json())


async def test_deep_pages_are_those_that_a_cursor_comes_to(db, client):
    publishers = Publishers(9)
    await put(db, *publishers.partials(START, END, 200))
    now = NOW.timestamp() + 3 * 3600
    await Rolling(db, lambda: True, clock=lambda: now, pace=Pace(1.0)).round()
    starts: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await client.get(f"/api/sensors/hall_1?limit=20&cursor={cursor}")).json()
        starts += [item["window"]["start_time"] for item in page["data"]]
        cursor = page["pagination"].get("next")
    assert starts == sorted(starts, key=datetime.fromisoformat, reverse=True)
    for offset in range(0, len(starts) + 5, 3):
        page = (await client.get(f"/api/sensors/hall_1?limit=7&offset={offset}")).json()
        assert page["pagination"]["total"] == len(starts)
        found = [item["window"]["start_time"] for item in page["data"]]
        assert found == starts[offset : offset + 7]
