"""Retention: a level goes only where the next holds it, and what comes later is refused."""

import json
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pymongo.errors import PyMongoError
from sensorpipe_schema.compacted_reading_pb2 import Rollup
from sensorpipe_schema.partial import Origin, Partial, encode
from sensorpipe_server.api.caching import CacheRules, Caching
from sensorpipe_server.api.sensors import WindowList
from sensorpipe_server.storage.documents import date, read_id
from sensorpipe_server.storage.fold import folded
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.queries import WindowBatch
from sensorpipe_server.storage.reads.facility_list import note, read_entries
from sensorpipe_server.storage.reads.ranges import Ranges
from sensorpipe_server.storage.reads.reading import Span
from sensorpipe_server.storage.rollups import levels as form
from sensorpipe_server.storage.rollups.levels import (
    DAY,
    FIVE_MINUTES,
    HOUR,
    LEVELS,
    Level,
    cover,
    read_rollup,
)
from sensorpipe_server.storage.rollups.past import Past
from sensorpipe_server.storage.rollups.removal import Removal, forever, limits
from sensorpipe_server.storage.rollups.rolling import Rolling
from sensorpipe_server.storage.rollups.state import RollupState
from sensorpipe_server.storage.rollups.totals import Total
from sensorpipe_server.storage.rollups.writer import Renewal, RollupWriter
from sensorpipe_server.storage.source_seqs import Settling
from sensorpipe_server.storage.store import Outcome, Store
from starlette.requests import Request
from support.interrupted import interrupted_everywhere
from support.server_parts import NOW, batch_of, client_of, store, summary

pytest_plugins = ["support.server_fixtures"]

# PyMongo leaves a socket to the garbage collector where it is killed while it connects
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

START = 1_700_000_000_000 - 1_700_000_000_000 % DAY.length_ms
END = START + 3 * DAY.length_ms

KEPT = {
    "windows": DAY.length_ms,
    "5m": DAY.length_ms + HOUR.length_ms,
    "1h": 2 * DAY.length_ms,
    "1d": None,
}


def keep(level: str) -> int | None:
    return KEPT[level]


def message(at_ms: int, seq: int) -> bytes:
    """Return a partial with one reading of the window that begins so long after START."""
    start = START + at_ms
    found = summary([(seq, float(seq))])
    return encode(Partial("hall_1", start, start + 10_000, Origin("c", 7, seq), {"t": found}))


EVERY_MS = 34_500_000  # no multiple of any level
MESSAGES = [message(at, seq) for seq, at in enumerate(range(0, 3 * DAY.length_ms + 1, EVERY_MS), 1)]


async def write(
    db: database.Database, messages: Iterable[bytes], past: Past | None = None
) -> Outcome:
    return await Store(db, past or Past(db)).write(batch_of(*messages).partials)


def rolling(db: database.Database, *, removing: bool = True) -> Rolling:
    return Rolling(
        db,
        lambda: True,
        clock=NOW.timestamp,
        pace=Pace(1.0),
        keep=keep if removing else forever,
    )


async def total(db: database.Database) -> Rollup:
    """Return all that is stored, read as an answer reads it."""
    state = (await RollupState(db).read())["hall_1"]
    markers = [each.start_ms for each in await RollupState(db).markers("hall_1")]
    read = Total()
    for piece in cover(START, END + 10_000, state.done_ms, markers, state.removed):
        if piece.level is None:
            found = await database.windows(db).find().sort("_id").to_list()
            for window in folded(found):
                if piece.start_ms <= window.key.start_ms < piece.end_ms:
                    read.add_window(window)
            continue
        of_piece = form.rollup_range("hall_1", piece.level, piece.start_ms, piece.end_ms)
        async for document in database.rollups(db).find({"_id": of_piece}):
            rollup = read_rollup(document)
            assert rollup is not None
            read.add_rollup(rollup)
    made = read.rollup()
    for entry in made.sensors:
        entry.summary.mean = float(f"{entry.summary.mean:.9g}")
        entry.summary.m2 = float(f"{entry.summary.m2:.9g}")
    return made


async def stored(db: database.Database) -> dict[str, int]:
    """Return by level the earliest start of what is stored, after START."""
    found: dict[str, int] = {}
    async for each in database.windows(db).find({}, {"_id": 1}):
        start = read_id(each["_id"]).window.start_ms - START
        found["windows"] = min(start, found.get("windows", start))
    async for each in database.rollups(db).find({}, {"level": 1}):
        start = form.rollup_start(each) - START
        found[each["level"]] = min(start, found.get(each["level"], start))
    return found


async def test_each_level_goes_at_its_time_and_what_is_held_stays_the_same(db):
    await write(db, MESSAGES)
    await rolling(db, removing=False).round()
    before = await total(db)
    assert before.windows == len(MESSAGES)
    newest = START + (len(MESSAGES) - 1) * EVERY_MS + 10_000
    await rolling(db).round()
    assert await total(db) == before
    state = (await RollupState(db).read())["hall_1"]
    assert state.removed == state.swept == {
        "windows": FIVE_MINUTES.start(newest - DAY.length_ms),
        "5m": HOUR.start(newest - DAY.length_ms - HOUR.length_ms),
        "1h": DAY.start(newest - 2 * DAY.length_ms),
    }  # fmt: skip
    left = await stored(db)
    assert all(START + ms >= state.removed.get(level, 0) for level, ms in left.items())
    assert left["1d"] == 0


async def test_what_comes_for_a_removed_range_is_refused_and_changes_nothing(db):
    past = Past(db)
    await write(db, MESSAGES, past)
    await rolling(db).round()
    before, documents = await total(db), await database.windows(db).count_documents({})
    with pytest.raises(PyMongoError):  # as far as this store knew nothing was removed
        await write(db, [message(20_000, 9000)], past)
    outcome = await write(db, [message(20_000, 9000), message(2 * DAY.length_ms, 9001)], past)
    assert [refused.reason for refused in outcome.refused] == ["window_removed"]
    assert outcome.inserted == 1
    # the first one had been inserted before it was refused, and is not shown any more
    assert await database.windows(db).count_documents({}) == documents + 1
    await rolling(db).round()
    assert (await total(db)).windows == before.windows + 1
    outcome = await write(db, [message(20_000, 9000)])  # a store that has just begun
    assert [refused.reason for refused in outcome.refused] == ["window_removed"]


async def test_what_was_counted_before_its_range_was_removed_is_no_dead_letter(db):
    await write(db, MESSAGES)
    await rolling(db).round()
    before, documents = await total(db), await database.windows(db).count_documents({})
    again = await write(db, MESSAGES)
    assert (again.inserted, again.redelivered, again.refused) == (0, len(MESSAGES), [])
    start = START + 20_000
    origin, unidentified = Origin("c", 7, 9002), {"t": summary([(1, 1.0)], None)}
    unknown = encode(Partial("hall_1", start, start + 10_000, origin, unidentified))
    others = await write(db, [message(0, 9000), unknown])
    assert [refused.reason for refused in others.refused] == ["window_removed"] * 2
    assert await total(db) == before
    assert await database.windows(db).count_documents({}) == documents


async def test_integrity_counts_young_rollups_whose_parts_are_removed(db):
    young = datetime.now(UTC) + timedelta(minutes=2)  # however long the test takes
    await store(db, *MESSAGES, received_at=young)
    async with client_of(db) as client:
        before = (await client.get("/api/integrity")).json()["totals"]
        await rolling(db).round()
        after = (await client.get("/api/integrity")).json()["totals"]
    assert before["count"] == len(MESSAGES)
    assert after == before


@pytest.mark.parametrize("noted", [True, False])
async def test_statistics_go_back_before_the_first_window_that_is_kept(db, noted):
    await write(db, MESSAGES)
    await rolling(db).round()
    await database.facilities(db).drop()
    if noted:
        collections = (database.windows(db), database.rollups(db), database.facilities(db))
        assert await note(*collections, "hall_1") is not None
        (entry,) = await read_entries(database.facilities(db), with_sensors=False)
        assert entry.first_ms == START
    else:
        await database.windows(db).delete_many({})
    end = date(START + DAY.length_ms).isoformat().replace("+00:00", "Z")
    async with client_of(db) as client:
        (found,) = (await client.get(f"/api/stats?sensors=t&to={end}")).json()
        totals = (await client.get("/api/integrity")).json()["totals"]
    assert found["t"]["count"] == 3
    assert totals["count"] >= 3


async def test_what_is_below_a_rollup_too_large_stays(db, monkeypatch):
    await write(db, MESSAGES)
    monkeypatch.setattr(form, "MAX_SUMMARY_BYTES", 0)
    await rolling(db).round()
    assert await stored(db) == dict.fromkeys(("windows", "5m", "1h", "1d"), 0)
    assert await database.windows(db).count_documents({}) == len(MESSAGES)
    read = await Ranges(db).read(["hall_1"], START, END + 10_000, Read)
    assert read.windows == len(MESSAGES)


class Adding(Total):
    """Adds up all that is read."""

    def take_rollup(self, _span: Span, _level: Level, rollup: Rollup, *, finest: bool) -> bool:  # noqa: ARG002
        self.add_rollup(rollup)
        return True

    def take_windows(self, batch: WindowBatch) -> None:
        for window in batch.windows:
            self.add_window(window)


class Read:
    """Takes windows; all rollups are too large."""

    def __init__(self) -> None:
        self.windows = 0

    def take_rollup(self, span: Span, level: Level, rollup: Rollup, *, finest: bool) -> bool:
        raise AssertionError(span, level, rollup, finest)

    def take_windows(self, batch: WindowBatch) -> None:
        self.windows += len(batch.windows)


STEPS = [
    pytest.param(29, id="some"),
    pytest.param(1, id="all", marks=pytest.mark.promise),
]


async def _prepare(db: database.Database) -> None:
    for name in await db.list_collection_names():
        await db[name].delete_many({})
    await write(db, MESSAGES)
    await rolling(db, removing=False).round()


@pytest.mark.parametrize("step", STEPS)
async def test_killed_anywhere_it_removes_all_in_the_end_and_nothing_else(db, step):
    await _prepare(db)
    before = await total(db)
    await rolling(db).round()
    left = await stored(db)
    prepare, remove = partial(_prepare, db), lambda: rolling(db).round()
    async for _ in interrupted_everywhere(prepare, remove, step=step):
        assert await total(db) == before
        await rolling(db).round()
        assert await total(db) == before
        assert await stored(db) == left


async def late(db: database.Database, counted: list[bool]) -> None:
    """Store a late partial as a server does that begins now; note whether it was counted."""
    past = Past(db)
    while not counted:
        with suppress(PyMongoError):
            outcome = await write(db, [message(20_000, 9000)], past)
            counted.append(not outcome.refused)


@pytest.mark.parametrize("step", STEPS)
async def test_a_late_partial_at_any_moment_is_counted_or_refused(db, step):
    counted: list[bool] = []

    async def prepare() -> None:
        counted.clear()
        await _prepare(db)

    meanwhile, remove = partial(late, db, counted), lambda: rolling(db).round()
    async for ended in interrupted_everywhere(prepare, remove, meanwhile, step):
        await rolling(db).round()
        after = await total(db)
        if not ended:
            assert after.windows == len(MESSAGES) + counted[0]


@pytest.mark.parametrize("step", [pytest.param(7, id="some"), STEPS[-1]])
async def test_a_late_partial_that_was_counted_is_in_every_answer_while_its_range_goes(db, step):
    counted: list[bool] = []

    async def prepare() -> None:
        counted.clear()
        await _prepare(db)
        await write(db, [message(40_000, 9001)])

    async def meanwhile() -> None:
        assert (await total(db)).windows == len(MESSAGES) + 1
        await late(db, counted)
        assert (await total(db)).windows == len(MESSAGES) + 1 + counted[0]

    async def remove() -> None:
        state, pace = RollupState(db), Pace(1.0)
        removal = Removal(db, keep, state, Renewal(state, RollupWriter(db, pace), pace), pace)
        await removal.remove("hall_1", await state.of("hall_1"), END)

    async for _ in interrupted_everywhere(prepare, remove, meanwhile, step):
        assert (await total(db)).windows == len(MESSAGES) + 1 + sum(counted)


@pytest.mark.parametrize("step", STEPS)
async def test_another_worker_at_any_moment_changes_nothing(db, step):

    async def prepare() -> None:
        await _prepare(db)
        await write(db, [message(20_000, 9000)])

    def remove() -> Coroutine[Any, Any, None]:
        return rolling(db).round()

    async for _ in interrupted_everywhere(prepare, remove, remove, step):
        assert (await total(db)).windows == len(MESSAGES) + 1


async def test_who_reads_while_parts_are_removed_misses_nothing(db):
    found: list[int] = []

    async def read() -> None:
        end = START + EVERY_MS + 10_000  # in a bucket of 5 minutes, whose windows are read
        found.append((await Ranges(db).read(["hall_1"], START, end, Adding)).windows)

    async for _ in interrupted_everywhere(partial(_prepare, db), read, lambda: rolling(db).round()):
        assert found.pop() == 2


async def test_a_page_read_while_windows_are_removed_is_that_of_before_or_after(db):
    asked = {
        "type": "http",
        "method": "GET",
        "path": "/api/sensors/hall_1",
        "query_string": b"limit=20",
        "path_params": {"facility": "hall_1"},
        "headers": [],
    }
    found: list[dict[str, Any]] = []

    async def read() -> None:
        answer = await WindowList(db, 20, Settling(), Caching(db, CacheRules(2_000, None))).answer(
            Request(asked)
        )
        found.append(json.loads(bytes(answer.body)))

    async for _ in interrupted_everywhere(
        partial(_prepare, db), read, lambda: rolling(db).round(), 3
    ):
        page = found.pop()
        assert page["pagination"]["total"] == len(page["data"]) > 0


def test_what_is_removed_is_done_and_whole_in_the_level_above():
    done_ms = 10 * DAY.length_ms + HOUR.length_ms
    now_ms = done_ms + 7
    assert limits(forever, done_ms, now_ms) == {}
    assert limits(lambda _: 0, done_ms, now_ms) == {
        "windows": done_ms,
        "5m": done_ms,
        "1h": 10 * DAY.length_ms,
        "1d": 10 * DAY.length_ms,
    }
    kept = {"windows": DAY.length_ms, "5m": 1, "1h": None, "1d": 0}
    assert limits(kept.get, done_ms, now_ms) == {
        "windows": done_ms - DAY.length_ms,
        "5m": done_ms - DAY.length_ms,
    }
    assert limits(lambda _: 2 * now_ms, done_ms, now_ms) == dict.fromkeys(
        ["windows", *(level.name for level in LEVELS)], 0
    )
