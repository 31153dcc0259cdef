"""Rollups in MongoDB are what the windows say: killed anywhere, by two at once, with late data."""

import asyncio
from collections.abc import Iterable
from functools import partial

import pytest
from sensorpipe_schema.compacted_reading_pb2 import Rollup
from sensorpipe_schema.partial import Origin, Partial, encode
from sensorpipe_server.storage.fold import Window, folded
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.levels import DAY, FIVE_MINUTES, HOUR, LEVELS, read_rollup
from sensorpipe_server.storage.rollups.past import Past
from sensorpipe_server.storage.rollups.rolling import MARGIN_MS, Rolling
from sensorpipe_server.storage.rollups.state import RollupState, State
from sensorpipe_server.storage.rollups.totals import Total, rollup_of_windows
from sensorpipe_server.storage.store import Store
from support.interrupted import Interrupted, interrupted_everywhere
from support.server_parts import NOW, batch_of, summary

pytest_plugins = ["support.server_fixtures"]

# PyMongo leaves a socket to the garbage collector where it is killed while it connects
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

START = 1_700_000_000_000 - 1_700_000_000_000 % DAY.length_ms
END = START + DAY.length_ms + HOUR.length_ms
"""Of the newest window: the day before it is complete."""


def message(at_ms: int, seqs: Iterable[int], number: int, *, itemized: bool = False) -> bytes:
    """Return a partial of the window that begins so long after START."""
    readings = [(seq, float(seq)) for seq in seqs]
    found = summary(readings)
    if itemized:
        found.sources = {"run": [(seq, seq) for seq, _ in readings]}
        found.values = {"run": [value for _, value in readings]}
    start = START + at_ms
    origin = Origin("c", 7, number)
    return encode(Partial("hall_1", start, start + 10_000, origin, {"t": found}, itemized))


NEWEST = message(END - START, [1000], 1000)

PARTIALS = [
    message(0, [1, 2], 1),
    # enough of them to be put together, one of which is not certain, and one a duplicate
    *(message(10_000, [2 + n, 3 + n], 1 + n) for n in (1, 3, 5, 7, 8)),
    message(10_000, [9, 11, 12], 20, itemized=True),
    message(300_000, [13], 21),
    message(HOUR.length_ms, [14], 22),
    message(HOUR.length_ms + 3_000, [15, 16], 23),
    NEWEST,
]

LATE = [message(20_000, [31], 31), message(10_000, [32], 32), message(5 * HOUR.length_ms, [33], 33)]


async def put(db: database.Database, messages: Iterable[bytes]) -> None:
    """Store partials as a server does."""
    outcome = await Store(db, Past(db)).write(batch_of(*messages).partials)
    assert not outcome.refused


def rolling(db: database.Database, seconds_later: float = 0) -> Rolling:
    """Return a worker without any rest, whose clock is so far behind the storing of all."""
    now = NOW.timestamp() + seconds_later
    return Rolling(db, lambda: True, clock=lambda: now, pace=Pace(1.0))


async def windows(db: database.Database) -> list[Window]:
    """Return all windows."""
    return list(folded(await database.windows(db).find().sort("_id").to_list()))


async def state(db: database.Database) -> State:
    return (await RollupState(db).read())["hall_1"]


def plain(found: list[Window], done_ms: int) -> dict[str, Rollup]:
    """Return by `_id` the rollups that there must be."""
    totals: dict[str, Total] = {}
    for window in found:
        for level in LEVELS:
            start = level.start(window.key.start_ms)
            if start + level.length_ms <= done_ms:
                name = f"hall_1/{level.name}/{start:015d}"
                totals.setdefault(name, Total()).add_window(window)
    return {name: total.rollup() for name, total in totals.items()}


async def rollups(db: database.Database) -> dict[str, Rollup]:
    """Return by `_id` the rollups that are stored."""
    found = await database.rollups(db).find().to_list()
    read = {each["_id"]: read_rollup(each) for each in found}
    return {name: rollup for name, rollup in read.items() if rollup is not None}


def exact(rollup: Rollup) -> Rollup:
    """Return a rollup with means and m2 that rounding does not tell apart."""
    copy = Rollup.FromString(rollup.SerializeToString())
    for each in copy.sensors:
        each.summary.mean = float(f"{each.summary.mean:.9g}")
        each.summary.m2 = float(f"{each.summary.m2:.9g}")
    return copy


async def check(db: database.Database, seqs: list[int]) -> None:
    """Check windows and rollups: they hold these readings, and nothing is left to do."""
    found = await windows(db)
    (sensor,) = rollup_of_windows(found).sensors
    assert sensor.summary.count == len(seqs)
    (source,) = sensor.summary.sources
    pairs = zip(source.bounds[::2], source.bounds[1::2], strict=True)
    assert sorted(n for first, last in pairs for n in range(first, last + 1)) == sorted(seqs)
    assert sensor.summary.mean * len(seqs) == pytest.approx(sum(seqs))
    done_ms = (await state(db)).done_ms
    expected = plain(found, done_ms)
    assert {k: exact(v) for k, v in (await rollups(db)).items()} == {
        k: exact(v) for k, v in expected.items()
    }
    assert await RollupState(db).next_markers(None, 10) == []


ALL = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 11, 12, 13, 14, 15, 16, 1000]


async def test_rollups_of_all_levels_are_what_the_windows_say(db):
    await put(db, PARTIALS)
    await rolling(db).round()
    done_ms = FIVE_MINUTES.start(END - MARGIN_MS - 2000)
    assert await state(db) == State(done_ms, done_ms, {})
    await check(db, ALL)
    names = [name.partition("/")[2] for name in sorted(await rollups(db))]
    assert names == [
        f"1d/{START:015d}",
        f"1h/{START:015d}",
        f"1h/{START + HOUR.length_ms:015d}",
        f"5m/{START:015d}",
        f"5m/{START + 300_000:015d}",
        f"5m/{START + HOUR.length_ms:015d}",
    ]


async def test_the_certain_partials_of_an_old_window_are_put_together(db):
    await put(db, PARTIALS)
    before = await windows(db)
    await rolling(db).round()
    found = await database.windows(db).find({"_id": {"$regex": "/10000/"}}).to_list()
    of_window = [d["_id"] for d in found if f"{START + 10_000:015d}" in d["_id"]]
    assert [name.rpartition("/")[2] for name in sorted(of_window)] == ["20", "folded"]
    after = await windows(db)
    assert [exact(rollup_of_windows([w])) for w in after] == [
        exact(rollup_of_windows([w])) for w in before
    ]
    await put(db, PARTIALS)  # all of them once more
    await rolling(db).round()
    await check(db, ALL)
    assert len(await database.windows(db).find().to_list()) == len(found)


async def test_a_facility_that_fell_silent_is_computed_to_its_end(db):
    await put(db, PARTIALS)
    await rolling(db, 3601).round()
    assert (await state(db)).done_ms == END + FIVE_MINUTES.length_ms
    await check(db, ALL)


async def test_late_partials_are_marked_and_computed_again(db):
    await put(db, PARTIALS)
    await rolling(db).round()
    await put(db, LATE)
    marked = await RollupState(db).markers("hall_1")
    assert [each.start_ms - START for each in marked] == [0, 5 * HOUR.length_ms]
    assert len(await RollupState(db).markers("hall_1", START + 1, START + 300_000)) == 1
    await rolling(db).round()
    await check(db, [*ALL, 31, 32, 33])


async def test_new_windows_are_not_marked(db):
    await put(db, PARTIALS)
    await rolling(db).round()
    await put(db, [message(END - START + 10_000, [1001], 1001)])
    assert await RollupState(db).next_markers(None, 10) == []


async def test_a_marker_set_while_its_bucket_is_computed_stays(db):
    await put(db, PARTIALS)
    await rolling(db).round()
    await put(db, LATE[:1])
    (marker,) = await RollupState(db).markers("hall_1")
    assert await RollupState(db).unmark(marker)
    await put(db, LATE[1:2])
    assert not await RollupState(db).unmark(marker)
    await rolling(db).round()
    await check(db, [*ALL, 31, 32])


async def _empty(db: database.Database) -> None:
    for name in await db.list_collection_names():
        await db[name].delete_many({})


STEPS = [
    pytest.param(11, id="some"),
    pytest.param(1, id="all", marks=pytest.mark.promise),
]


async def _prepare(db: database.Database) -> None:
    await _empty(db)
    await put(db, PARTIALS)


@pytest.mark.parametrize("step", STEPS)
async def test_a_worker_killed_anywhere_leaves_nothing_wrong(db, step):
    prepare, work = partial(_prepare, db), lambda: rolling(db).round()
    async for _ in interrupted_everywhere(prepare, work, step=step):
        await put(db, [*PARTIALS, *LATE])  # delivered again, and what is late
        await rolling(db).round()
        await check(db, [*ALL, 31, 32, 33])


@pytest.mark.parametrize("step", STEPS)
async def test_a_worker_killed_anywhere_with_late_partials_leaves_nothing_wrong(db, step):
    async def prepare() -> None:
        await _prepare(db)
        await Interrupted(rolling(db).round(), 9)
        await put(db, [*PARTIALS, *LATE])

    async for _ in interrupted_everywhere(prepare, lambda: rolling(db).round(), step=step):
        await rolling(db).round()
        await check(db, [*ALL, 31, 32, 33])


@pytest.mark.parametrize("step", STEPS)
async def test_late_partials_stored_at_any_moment_are_in_the_rollups(db, step):
    prepare, work = partial(_prepare, db), lambda: rolling(db).round()
    late = partial(put, db, [*LATE, PARTIALS[2]])
    async for ended in interrupted_everywhere(prepare, work, late, step):
        await rolling(db).round()
        await check(db, ALL if ended else [*ALL, 31, 32, 33])


@pytest.mark.parametrize("step", STEPS)
async def test_another_worker_at_any_moment_changes_nothing(db, step):
    async def prepare() -> None:
        await _prepare(db)
        await rolling(db).round()
        await put(db, LATE)

    async def meanwhile() -> None:
        await put(db, [message(30_000, [34], 34)])
        await rolling(db).round()

    work = lambda: rolling(db).round()  # noqa: E731
    async for ended in interrupted_everywhere(prepare, work, meanwhile, step):
        await rolling(db).round()
        await check(db, [*ALL, 31, 32, 33, *([] if ended else [34])])


async def test_workers_at_once(db):
    await put(db, PARTIALS)
    await asyncio.gather(*(rolling(db).round() for _ in range(3)), put(db, LATE))
    await rolling(db).round()
    await check(db, [*ALL, 31, 32, 33])
