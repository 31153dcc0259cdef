"""What is called immutable is the same for ever; what may change has to be asked for again."""

import time
from datetime import timedelta

import pytest
from sensorpipe_server.api.caching import CacheRules
from sensorpipe_server.storage.documents import date
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.rolling import Rolling
from support.server_parts import T0, client_of, one, store

pytest_plugins = ["support.server_fixtures"]

DAY_MS = 86_400_000
IMMUTABLE = "public, max-age=31536000, immutable"


def window(days_ago):
    """Return the number of the window, after T0, that began so many days ago."""
    return (int(time.time() * 1000) - T0 - int(days_ago * DAY_MS)) // 10_000


async def put(db, *days_ago, number=1):
    await store(
        db,
        *(one([(number + at, at + 0.1)], window=window(days), number=number + at)
          for at, days in enumerate(days_ago)),
    )  # fmt: skip


async def roll(db):
    await Rolling(db, lambda: True, pace=Pace(1.0)).round()


def between(from_days_ago, to_days_ago):
    start, end = (T0 + window(days) * 10_000 for days in (from_days_ago, to_days_ago))
    return f"from={start}&to={end}"


def paths(query):
    return [
        f"/api/sensors/facility_1?{query}",
        f"/api/sensors/facility_1?cursor=&{query}",
        f"/api/stats?sensors=temperature&facility=facility_1&{query}",
    ]


async def test_an_old_range_is_immutable_and_stays_what_it_was(db, client):
    await put(db, 12.5, 12.4, 12.4, 10.3, 9.9, 0.01)
    await roll(db)
    asked = paths(between(13, 9))
    before = [await client.get(path) for path in asked]
    assert [each.headers["cache-control"] for each in before] == [IMMUTABLE] * 3
    assert before[0].json()["pagination"]["total"] == 4
    await put(db, 1.5, 0.005, number=10)  # what arrives later changes later windows
    await roll(db)
    assert [(await client.get(path)).content for path in asked] == [each.content for each in before]


async def test_an_answer_is_kept_no_longer_than_retention_keeps_its_windows(db):
    await put(db, 10, 0.01)
    await roll(db)
    rules = CacheRules(lateness_ms=2_000, kept_ms=15 * DAY_MS)
    async with client_of(db, cache_rules=rules) as client:
        for path in paths(between(11, 9)):
            control = (await client.get(path)).headers["cache-control"]
            seconds = int(control.removeprefix("public, max-age=").removesuffix(", immutable"))
            assert 3 * 86_400 < seconds <= 4 * 86_400
        for path in paths(between(15, 9)):
            assert (await client.get(path)).headers["cache-control"] == "no-cache"


async def test_while_newer_windows_are_not_stored_nothing_is_immutable(db, client):
    await put(db, 10, 3)  # a server that was away for 3 days may still store what is 10 days old
    await roll(db)
    for path in paths(between(11, 9)):
        assert (await client.get(path)).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "query",
    [
        between(20, 7.9),
        between(20, 9).partition("&")[0],
        between(20, 9).partition("&")[2],
        "from=-20d&to=-9d",
        f"from=-20d&to={int(time.time() - 9 * 86_400)}",
        f"from={date(T0) - timedelta(days=1):%Y-%m-%d}&to=now",
        "",
    ],
)
async def test_a_range_that_goes_on_or_moves_has_to_be_asked_for_again(db, client, query):
    await put(db, 10, 0.01)
    await roll(db)
    for path in paths(query):
        assert (await client.get(path)).headers["cache-control"] == "no-cache"


async def test_what_new_facilities_may_join_is_not_immutable(db, client):
    await put(db, 10, 0.01)
    await roll(db)
    query = between(11, 9)
    for path in (f"/api/stats?sensors=temperature&{query}", f"/api/sensors/facility_2?{query}"):
        assert (await client.get(path)).headers["cache-control"] == "no-cache"
