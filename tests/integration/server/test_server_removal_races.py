"""Writes beside a removal, call by call: each partial is counted, or a dead letter, never both."""

import random
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from itertools import islice, product
from typing import Any, NamedTuple

import pytest
from pymongo.errors import PyMongoError
from sensorpipe_schema.compacted_reading_pb2 import Rollup
from sensorpipe_schema.partial import Origin, Partial, encode
from sensorpipe_server.storage.documents import id_range
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.queries import WindowBatch
from sensorpipe_server.storage.reads.ranges import Ranges
from sensorpipe_server.storage.reads.reading import Span
from sensorpipe_server.storage.rollups import levels
from sensorpipe_server.storage.rollups.levels import DAY, HOUR, LEVELS, Level, read_rollup
from sensorpipe_server.storage.rollups.past import Past
from sensorpipe_server.storage.rollups.removal import Keep, Removal
from sensorpipe_server.storage.rollups.rolling import Rolling
from sensorpipe_server.storage.rollups.state import RollupState
from sensorpipe_server.storage.rollups.totals import Total
from sensorpipe_server.storage.rollups.writer import Renewal, RollupWriter
from sensorpipe_server.storage.store import Outcome, Store
from support.server_parts import NOW, batch_of, summary
from support.stepped import Stepped

pytest_plugins = ["support.server_fixtures"]

START = 1_700_000_000_000 - 1_700_000_000_000 % DAY.length_ms
END = START + 3 * DAY.length_ms

LATE, OTHER, MARKED = 9000, 9001, 9002
"""The `seq` of a partial that is written late, of another one, and of one that was before."""

MOST_WRITES = 6
"""How often a write is repeated at most until it is decided: once for each level, and so on."""

KILLED = 0.2
"""The share of those at work that are killed where they stand."""

Work = Callable[[Any], Coroutine[Any, Any, Any]]
Contents = dict[str, list[dict[str, Any]]]


class Scene(NamedTuple):
    """What is there before a late partial is written beside a removal."""

    late_ms: int = 20_000
    """When the window of the late partial starts, after START."""
    removed: int = 1
    """How many levels are removed, from the finest."""
    is_stored: bool = False
    """Whether the late partial was counted before, and is delivered again."""
    is_marked: bool = False
    """Whether its bucket is to be computed again anyway."""
    is_too_large: bool = False
    """Whether all rollups are too large for a document."""


ALONE_MS = 2 * HOUR.length_ms
"""In a bucket that has no rollup yet."""

SCENES = [
    pytest.param(Scene(), id="bucket with a rollup"),
    pytest.param(Scene(ALONE_MS), id="bucket without a rollup"),
    pytest.param(Scene(is_marked=True), id="marked bucket"),
    pytest.param(Scene(ALONE_MS, 3), id="three levels are removed"),
    pytest.param(Scene(is_stored=True), id="delivered again"),
    pytest.param(Scene(removed=3, is_stored=True), id="delivered again, three levels are removed"),
    pytest.param(Scene(removed=2, is_too_large=True), id="rollups too large"),
    pytest.param(Scene(is_stored=True, is_too_large=True), id="delivered again, too large"),
]

STEPS = [
    pytest.param(23, id="some"),
    pytest.param(1, id="all", marks=pytest.mark.promise),
]

ORDERS = [
    pytest.param(0, 4, id="some"),
    *(pytest.param(seed, 50, id=f"all {seed}", marks=pytest.mark.promise) for seed in range(2)),
]
"""A seed, and how many orders are tried."""


def message(at_ms: int, seq: int) -> bytes:
    """Return a partial with one reading of the window that begins so long after START."""
    start = START + at_ms
    found = {"t": summary([(seq, float(seq))])}
    return encode(Partial("hall_1", start, start + 10_000, Origin("c", 7, seq), found))


COUNTED = [message(0, 1), message(3 * HOUR.length_ms, 2), message(END - START, 3)]


def keep(scene: Scene) -> Keep:
    """Return what removes the levels of a scene."""
    removed = levels.LEVEL_NAMES[: scene.removed]
    return lambda level: DAY.length_ms if level in removed else None


async def write(db: database.Database, *messages: bytes) -> Outcome:
    """Write as a server does that has just begun, and repeat it a few times."""
    store = Store(db, Past(db))
    for _ in range(MOST_WRITES):
        with suppress(PyMongoError):
            return await store.write(batch_of(*messages).partials)
    raise AssertionError("written again and again")


async def remove(db: database.Database, scene: Scene) -> None:
    """Remove what a round removes."""
    state, pace = RollupState(db), Pace(1.0)
    renewal = Renewal(state, RollupWriter(db, pace), pace)
    removal = Removal(db, keep(scene), state, renewal, pace)
    await removal.remove("hall_1", await state.of("hall_1"), END)


async def renew(db: database.Database) -> None:
    """Compute again what is marked, as another server does."""
    state, pace = RollupState(db), Pace(1.0)
    markers = await state.next_markers(None, 10)
    await Renewal(state, RollupWriter(db, pace), pace).renew("hall_1", markers)


async def prepare(db: database.Database, scene: Scene) -> None:
    """Compute all rollups of a scene, and mark what is to be marked."""
    stored = [*COUNTED, message(scene.late_ms, LATE)] if scene.is_stored else COUNTED
    await write(db, *stored)
    await Rolling(db, lambda: True, clock=NOW.timestamp, pace=Pace(1.0)).round()
    if scene.is_marked:
        await write(db, message(scene.late_ms + 10_000, MARKED))


async def contents(db: database.Database) -> Contents:
    """Return all documents by collection."""
    names = await db.list_collection_names()
    return {name: await db[name].find({}).to_list() for name in names}


async def restore(db: database.Database, before: Contents) -> None:
    """Let a database have these documents only."""
    for name in await db.list_collection_names():
        await db[name].delete_many({})
    for name, documents in before.items():
        if documents:
            await db[name].insert_many(documents)


class Adding(Total):
    """Adds up all that is read."""

    def take_rollup(self, _span: Span, _level: Level, rollup: Rollup, *, finest: bool) -> bool:  # noqa: ARG002
        self.add_rollup(rollup)
        return True

    def take_windows(self, batch: WindowBatch) -> None:
        for window in batch.windows:
            self.add_window(window)


def seqs(rollup: Rollup) -> list[int]:
    """Return the `seq` that are held, each as often as it is."""
    found: list[int] = []
    for sensor in rollup.sensors:
        for source in sensor.summary.sources:
            pairs = zip(source.bounds[::2], source.bounds[1::2], strict=True)
            found += [seq for first, last in pairs for seq in range(first, last + 1)]
    return sorted(found)


async def answer(db: database.Database) -> list[int]:
    """Return what an answer counts."""
    return seqs((await Ranges(db).read(["hall_1"], START, END + 10_000, Adding)).rollup())


async def check(db: database.Database, scene: Scene, outcomes: Mapping[int, Outcome]) -> None:
    """Check that what is settled is counted everywhere, or nowhere and a dead letter.

    `outcomes` are by `seq` those of what was written.
    """
    await renew(db)
    await remove(db, scene)
    assert await RollupState(db).next_markers(None, 10) == []
    counted = {seq for seq, outcome in outcomes.items() if not outcome.refused}
    before = {1, 2, 3, *([MARKED] if scene.is_marked else [])}
    assert await answer(db) == sorted(before | counted)
    late_ms = START + scene.late_ms
    state = await RollupState(db).of("hall_1")
    for level in (each for each in LEVELS if late_ms >= state.removed.get(each.name, 0)):
        name = levels.rollup_id("hall_1", level, level.start(late_ms))
        found = await database.rollups(db).find_one({"_id": name})
        rollup = None if found is None else read_rollup(found)
        assert rollup is None or {*seqs(rollup)} & {*outcomes} == counted, level.name


async def calls(db: database.Database, work: Work) -> int:
    """Return how many calls of MongoDB some work makes that is alone."""
    stepped, count = Stepped(db, work), 1
    while await stepped.step():
        count += 1
    await stepped.task
    return count


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("scene", SCENES)
async def test_a_write_that_stalls_anywhere_in_a_removal_is_counted_or_refused(
    db, monkeypatch, scene, step
):
    if scene.is_too_large:
        monkeypatch.setattr(levels, "MAX_SUMMARY_BYTES", 0)
    await prepare(db, scene)
    before = await contents(db)
    works: tuple[Work, Work] = (
        lambda gated: write(gated, message(scene.late_ms, LATE)),
        lambda gated: remove(gated, scene),
    )
    counts = []
    for work in works:
        counts.append(await calls(db, work))
        await restore(db, before)
    pairs = product(range(counts[0] + 1), range(counts[1] + 1))
    for written, removed in islice(pairs, 0, None, step):
        writing, removing = (Stepped(db, work) for work in works)
        await writing.steps(written)
        await removing.steps(removed)
        outcome = await writing.finish()
        assert (LATE in await answer(db)) is not bool(outcome.refused)
        await removing.finish()
        await check(db, scene, {LATE: outcome})
        state = await RollupState(db).of("hall_1")
        removed_range = {"_id": id_range("hall_1", 0, state.removed["windows"])}
        left = await database.windows(db).count_documents(removed_range)
        assert scene.is_too_large or not left
        await restore(db, before)


@pytest.mark.parametrize(("seed", "orders"), ORDERS)
@pytest.mark.parametrize("scene", SCENES)
async def test_writers_and_removers_in_any_order_some_killed_agree_on_each_partial(
    db, monkeypatch, scene, seed, orders
):
    if scene.is_too_large:
        monkeypatch.setattr(levels, "MAX_SUMMARY_BYTES", 0)
    rng = random.Random(seed)
    await prepare(db, scene)
    before = await contents(db)
    late, other = message(scene.late_ms, LATE), message(scene.late_ms + 10_000, OTHER)
    works: list[Work] = [
        lambda gated: write(gated, late),
        lambda gated: write(gated, late),
        lambda gated: write(gated, other),
        *[lambda gated: remove(gated, scene), renew] * 2,
    ]
    for _ in range(orders):
        stepped = [Stepped(db, work) for work in works]
        first, again, beside = (each.task for each in stepped[:3])
        for _ in range(rng.randint(1, 20)):
            await rng.choice(stepped).steps(rng.randint(1, 12))
        rng.shuffle(stepped)
        for each in stepped:
            await (each.kill() if rng.random() < KILLED else each.finish())
        settled = [each.result() for each in (first, again) if not each.cancelled()]
        assert len({bool(outcome.refused) for outcome in settled}) <= 1
        # what a server had not settled is delivered to another one
        outcome = settled[0] if settled else await write(db, late)
        other_outcome = await write(db, other) if beside.cancelled() else beside.result()
        await check(db, scene, {LATE: outcome, OTHER: other_outcome})
        await restore(db, before)
