"""A series has exactly what the windows of each bucket add up to, from wherever it is read."""

import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from sensorpipe_server.storage.documents import END_OF_TIME_MS
from sensorpipe_server.storage.fold import Window, folded
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.reads import series
from sensorpipe_server.storage.reads.ranges import Ranges
from sensorpipe_server.storage.rollups.levels import DAY, HOUR
from sensorpipe_server.storage.rollups.removal import forever
from sensorpipe_server.storage.rollups.rolling import Rolling
from sensorpipe_server.storage.rollups.state import RollupState
from sensorpipe_server.storage.rollups.totals import SensorTotal, Total
from support.random_partials import Publishers, put, text
from support.server_parts import NOW, T0, one

pytest_plugins = ["support.server_fixtures"]

START = 1_700_000_000_000 - 1_700_000_000_000 % DAY.length_ms
END = START + 2 * DAY.length_ms + 3 * HOUR.length_ms
STEPS = {
    "10s": 10_000,
    "70s": 70_000,
    "5m": 300_000,
    "25m": 1_500_000,
    "1h": 3_600_000,
    "7h": 25_200_000,
    "1d": 86_400_000,
    "36h": 129_600_000,
}
FIELDS = "avg,min,max,count,stdev"
KEPT = {"windows": DAY.length_ms, "5m": DAY.length_ms + 2 * HOUR.length_ms, "1h": None, "1d": None}


def rolling(db: database.Database, *, removing: bool = False) -> Rolling:
    now = NOW.timestamp() + 3 * 3600
    keep = KEPT.__getitem__ if removing else forever
    return Rolling(db, lambda: True, clock=lambda: now, pace=Pace(1.0), keep=keep)


async def windows_of(db: database.Database) -> list[Window]:
    found = await database.windows(db).find().sort("_id", 1).to_list()
    return list(folded(found))


Expected = list[tuple[str, str, str, SensorTotal]]


def added_up(
    windows: Iterable[Window],
    every: int,
    from_ms: int = 0,
    to_ms: int = END_OF_TIME_MS,
    *,
    sensors: str = "t,u,v",
    facilities: tuple[str, ...] = ("hall_1", "hall_2"),
) -> Expected:
    """Return what the windows of whole buckets add up to, one by one."""
    buckets: dict[tuple[int, str], Total] = {}
    low, high = from_ms // every * every, -(-to_ms // every) * every
    for window in windows:
        key = window.key
        if low <= key.start_ms < high and key.facility in facilities:
            bucket = key.start_ms // every * every, key.facility
            buckets.setdefault(bucket, Total(sensors.split(","))).add_window(window)
    return [
        (text(start), facility, name, total)
        for (start, facility), found in sorted(buckets.items())
        for name, total in sorted(found.sensors.items())
    ]


def check(rows: list[Mapping[str, Any]], expected: Expected) -> None:
    """Assert that rows are right: exactly, but for rounding."""
    assert [(row["time"], row["facility"], row["sensor"]) for row in rows] == [
        each[:3] for each in expected
    ]
    for row, (*_, total) in zip(rows, expected, strict=True):
        moments = total.moments
        assert (row["count"], row["min"], row["max"]) == (moments.count, moments.min, moments.max)
        assert row["avg"] == pytest.approx(moments.mean, rel=1e-9, abs=1e-9)
        assert row["stdev"] == pytest.approx(moments.stdev, rel=1e-9, abs=1e-9)
        for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            if name in row:  # what is kept of the readings are sketches
                value = min(max(total.sketch.quantile(q), moments.min), moments.max)
                assert row[name] == pytest.approx(value, rel=1e-12)


def ranges(rng: random.Random) -> Iterator[tuple[int, int]]:
    """Yield ranges, most of which begin and end within buckets."""
    yield START - HOUR.length_ms, END + HOUR.length_ms
    low, high = sorted(rng.sample(range(START, END, 1000), 2))
    yield low, high


async def check_range(
    client: Any, windows: list[Window], step: str, span: tuple[int, int], fields: str = FIELDS
) -> None:
    """Ask for one range, and compare with what its windows add up to."""
    path = f"/api/series?from={span[0]}&to={span[1]}&every={step}&fields={fields}"
    answer = (await client.get(path)).json()
    every = STEPS[step]
    assert answer["every"] == step
    assert answer["from"] == text(span[0] // every * every)
    assert answer["to"] == text(-(-span[1] // every) * every)
    check(answer["data"], added_up(windows, every, *span))


async def check_all(client: Any, windows: list[Window], rng: random.Random) -> None:
    for step in STEPS:
        for span in ranges(rng):
            await check_range(client, windows, step, span)
    for step in ("25m", "1h", "7h"):
        await check_range(client, windows, step, (START, END), f"{FIELDS},p50,p95,p99")
    path = f"/api/series?from={START}&to={END}&every=1h&fields={FIELDS},p99&sensors=u"
    answer = (await client.get(f"{path}&facility=hall_2")).json()
    expected = added_up(windows, STEPS["1h"], sensors="u", facilities=("hall_2",))
    check(answer["data"], expected)


@pytest.mark.parametrize("seed", range(3))
async def test_each_row_is_what_its_windows_add_up_to(db, client, seed):
    publishers = Publishers(seed)
    await put(db, *publishers.partials(START, END, 150))
    await check_all(client, await windows_of(db), publishers.random)
    await rolling(db).round()
    await put(db, *publishers.partials(START, START + 90 * 60_000, 3))  # late: marked
    await put(db, *publishers.partials(END - HOUR.length_ms, END, 20))  # not done yet
    assert await database.rollup_dirty(db).count_documents({}) > 0
    assert await database.rollups(db).count_documents({}) > 0
    await check_all(client, await windows_of(db), publishers.random)


@pytest.mark.parametrize("most", [1, 5, 60])
async def test_slices_of_any_size_have_the_same_rows(db, client, monkeypatch, most):
    monkeypatch.setattr(series, "ROWS", most)
    monkeypatch.setattr(series, "SKETCHED_ROWS", most)
    await put(db, *Publishers(7).partials(START, START + 6 * HOUR.length_ms, 60))
    await rolling(db).round()
    windows, span = await windows_of(db), (START, START + 6 * HOUR.length_ms)
    for step in ("25m", "1h", "7h"):
        await check_range(client, windows, step, span)
        await check_range(client, windows, step, span, f"{FIELDS},p50")
    await check_range(client, windows, "70s", (START, START + HOUR.length_ms))


async def test_what_retention_leaves_is_answered_coarser_and_says_so(db, client):
    await put(db, *Publishers(3).partials(START, END, 200))
    windows = await windows_of(db)
    await rolling(db, removing=True).round()
    removed = (await RollupState(db).read(["hall_1"]))["hall_1"].removed
    assert START < removed["5m"] < removed["windows"] < END
    for low, asked, found in (
        (START, "10s", "1h"),
        (START, "25m", "1h"),  # the next multiple of what is kept
        (START, "7h", "7h"),
        (removed["5m"], "10s", "5m"),
        (removed["windows"], "10s", "10s"),
    ):
        query = f"from={low}&to={END}&every={asked}&facility=hall_1&fields={FIELDS}"
        answer = (await client.get(f"/api/series?{query}")).json()
        assert answer["every"] == found
        only = ("hall_1",)
        check(answer["data"], added_up(windows, STEPS[found], low, END, facilities=only))


async def test_windows_removed_while_they_are_read_are_in_a_coarser_answer(db, client, monkeypatch):
    await put(db, *Publishers(4).partials(START, END, 200))
    windows = await windows_of(db)
    await rolling(db).round()
    read_plain = Ranges.read_plain
    rounds: list[bool] = []

    async def remove_first(self, *args, **options):
        if not rounds:
            rounds.append(True)
            await rolling(db, removing=True).round()
        return await read_plain(self, *args, **options)

    monkeypatch.setattr(Ranges, "read_plain", remove_first)
    query = f"from={START}&to={END}&every=10s&facility=hall_2&fields={FIELDS}"
    answer = (await client.get(f"/api/series?{query}")).json()
    assert answer["every"] == "1h"
    check(answer["data"], added_up(windows, STEPS["1h"], START, END, facilities=("hall_2",)))


async def test_a_partial_that_comes_again_after_it_was_folded_counts_once(db, client):
    parts = [one([(n, float(n))], number=n) for n in range(1, 6)]
    await put(db, *parts)
    await rolling(db).round()
    await put(db, parts[0])
    found = await database.windows(db).distinct("_id")
    assert [_id.rpartition("/")[2] for _id in found] == ["1", "folded"]
    answer = await client.get(f"/api/series?from={T0}&to={T0 + 1}&every=10s")
    assert [row["count"] for row in answer.json()["data"]] == [5]
