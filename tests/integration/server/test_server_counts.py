"""Windows that have one of several sensors are counted in few queries, however long the range."""

from collections.abc import Mapping
from typing import Any

import pytest
from sensorpipe_schema.compacted_reading_pb2 import Rollup
from sensorpipe_server.api import sensors
from sensorpipe_server.api.http.scans import Scans
from sensorpipe_server.storage.documents import date
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.queries import count_windows
from sensorpipe_server.storage.reads import counts
from sensorpipe_server.storage.reads.counts import Counts, WindowQuery
from sensorpipe_server.storage.rollups.levels import (
    DAY,
    FIVE_MINUTES,
    HOUR,
    LEVELS,
    rollup_document,
)
from sensorpipe_server.storage.rollups.state import RollupState
from support.server_parts import T0, client_of, one, store

pytest_plugins = ["support.server_fixtures"]

START = 1_700_000_000_000 - 1_700_000_000_000 % DAY.length_ms
DAYS = 3


@pytest.fixture
async def alternating(db):
    """Rollups of three days, of which each five minutes have a window of `t` and one of `u`."""
    documents = []
    for level in LEVELS:
        windows = level.length_ms // FIVE_MINUTES.length_ms
        for start in range(START, START + DAYS * DAY.length_ms, level.length_ms):
            rollup = Rollup(windows=2 * windows)
            for name in ("t", "u"):
                rollup.sensors.add(windows=windows).summary.sensor = name
            documents.append(rollup_document("hall_1", level, start, rollup, 1))
    await database.rollups(db).insert_many(documents)
    await RollupState(db).finish({"hall_1": START + DAYS * DAY.length_ms})


@pytest.fixture
def counted(monkeypatch):
    """How often windows were counted one by one."""
    seen: list[Mapping[str, Any]] = []

    async def count(
        windows: database.Collection, condition: Mapping[str, Any], step_ms: int
    ) -> dict[int, int]:
        seen.append(condition)
        return await count_windows(windows, condition, step_ms)

    monkeypatch.setattr(counts, "count_windows", count)
    return seen


async def stretches(db, query):
    counting = Counts(db)

    async def read(state):
        return await counting.stretches(query, await counting.read_status(query.facility, state))

    return await counting.read_consistently(query.facility, read)


@pytest.mark.usefixtures("alternating")
async def test_what_rollups_leave_open_is_counted_day_by_day(db, counted):
    query = WindowQuery("hall_1", START, START + DAYS * DAY.length_ms, ["t", "u"])
    found = await stretches(db, query)
    assert [(each.start_ms, each.end_ms) for each in found] == [
        (START + day * DAY.length_ms, START + (day + 1) * DAY.length_ms) for day in range(DAYS)
    ]
    assert len(counted) == DAYS


@pytest.mark.usefixtures("alternating")
async def test_one_sensor_is_counted_from_rollups_alone(db, counted):
    query = WindowQuery("hall_1", START, START + DAYS * DAY.length_ms, ["t"])
    found = await stretches(db, query)
    assert [each.windows for each in found] == [288] * DAYS
    assert counted == []


@pytest.mark.usefixtures("alternating")
async def test_hours_apart_from_each_other_are_counted_some_at_a_time(db, counted, monkeypatch):
    monkeypatch.setattr(counts, "SPANS", 2)
    every_other = [START + hour * HOUR.length_ms for hour in range(0, 24, 2)]
    lower = {"$unset": {"sensors.u": ""}, "$set": {"sensors.t.windows": 24}}
    await database.rollups(db).update_many(
        {"level": "1h", "start": {"$nin": [date(start) for start in every_other]}}, lower
    )
    query = WindowQuery("hall_1", START, START + DAY.length_ms, ["t", "u"])
    await store(db, *(message for start in every_other for message in windows_of(start)))
    found = await stretches(db, query)
    one_by_one = [(each.start_ms, each.windows) for each in found if each.level is None]
    assert one_by_one == [(start, 4 + number) for number, start in enumerate(every_other)]
    assert sum(each.windows for each in found if each.level is HOUR) == 12 * 24
    assert len(counted) == 6


def windows_of(start):
    """Yield partials of an hour: windows of `t`, of `u` and of both, and more of `t` each time."""
    hour = (start - START) // (2 * HOUR.length_ms)
    places = [("t", 0), ("u", 1), ("t", 2), ("u", 2), ("v", 3), ("t", 359)]
    places += [("t", 30 + 20 * n) for n in range(hour)]
    for number, (sensor, place) in enumerate(places):
        window = (start - T0) // 10_000 + place
        yield one(
            [(number + 1, 1.0)],
            sensor=sensor,
            facility="hall_1",
            window=window,
            number=1000 * hour + number + 1,
        )


async def test_only_pages_that_count_much_wait_their_turn(db, monkeypatch):
    monkeypatch.setattr(sensors, "Scans", lambda: Scans(0, 0))
    await store(db, one([(1, 1.0)], sensor="t"))
    async with client_of(db) as client:
        path = "/api/sensors/facility_1"
        assert (await client.get(f"{path}?sensors=t,u")).status_code == 503
        for query in ("", "?sensors=t", "?sensors=t,u&cursor="):
            assert (await client.get(path + query)).status_code == 200
