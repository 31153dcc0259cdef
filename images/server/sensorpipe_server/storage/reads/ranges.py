"""Reading a range of time of many facilities: rollups, and the windows at its edges.

What has no rollup yet, what was marked since and what a reader wants in detail is read from the
level below, in the end from the windows. All facilities are read together, level by level, so
that the number of queries does not grow with them.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple, Protocol, TypeVar

from sensorpipe_schema.compacted_reading_pb2 import Rollup

from sensorpipe_server.storage.documents import Document, id_range
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.pace import aside
from sensorpipe_server.storage.queries import Batch, folded_where, in_batches, with_sensors
from sensorpipe_server.storage.reads.whole import read_whole
from sensorpipe_server.storage.rollups.levels import (
    LEVELS,
    WINDOWS,
    Level,
    by_level,
    cover,
    finer,
    read_rollup,
    rollup_range,
    rollup_start,
)
from sensorpipe_server.storage.rollups.state import RollupState, State, starts_of

SPANS: Final = 100
"""Largest number of ranges that one query asks for."""

PLANNED: Final = 100
"""Facilities whose ranges are divided among the levels before others go on: some 1 ms of work."""

ALL: Final = 20
"""Number of facilities from which on the state and the markers of all are read at once."""


class Span(NamedTuple):
    """A range of starts of one facility's buckets or windows, in unix milliseconds."""

    facility: str
    start_ms: int
    end_ms: int


class Sink(Protocol):
    """Takes what is read, in any order, one after the other; what is large, in a thread."""

    def take_rollup(self, span: Span, level: Level, rollup: Rollup, *, finest: bool) -> bool:
        """Take the rollup of a bucket; return False to get what it is made from in its place.

        Where it is the `finest` that is left, since what it is made from was removed, it has
        to be taken.
        """

    def take_windows(self, batch: Batch) -> None:
        """Take some windows of one facility or of several."""


S = TypeVar("S", bound=Sink)


class Ranges:
    """Reads ranges of time."""

    def __init__(self, db: Database) -> None:
        self._windows = database.windows(db)
        self._rollups = database.rollups(db)
        self._state = RollupState(db)

    async def read(
        self,
        facilities: Collection[str],
        from_ms: int,
        to_ms: int,
        make: Callable[[], S],
        *,
        sensors: Collection[str] = (),
    ) -> S:
        """Return a sink that was handed all windows that start in `from_ms <= start < to_ms`.

        Each exactly once, and with `sensors` none that has none of them. A bucket whose windows
        were removed counts whole where it starts within the range. Where something of what was
        read is removed meanwhile, all is read again for another sink, a few times.
        """

        async def read() -> tuple[S, _Plan, Mapping[str, Known]]:
            sink = make()
            return sink, *await self._read(facilities, from_ms, to_ms, sink, sensors)

        async def is_whole(found: tuple[S, _Plan, Mapping[str, Known]]) -> bool:
            return not await self._was_removed(*found[1:])

        sink, *_ = await read_whole(read, is_whole)
        return sink

    async def _read(
        self,
        facilities: Collection[str],
        from_ms: int,
        to_ms: int,
        sink: Sink,
        sensors: Collection[str],
    ) -> tuple["_Plan", Mapping[str, "Known"]]:
        known = await self.known(facilities)
        plan: _Plan = by_level()
        for number, name in enumerate(facilities):
            if number % PLANNED == PLANNED - 1:
                await asyncio.sleep(0)  # others go on in between
            state, marked = known.get(name, _UNKNOWN)
            for piece in cover(from_ms, to_ms, state.done_ms, marked, state.removed):
                plan[piece.level].append(Span(name, piece.start_ms, piece.end_ms))
        for level in reversed(LEVELS):
            plan[finer(level)] += await self._read_level(level, plan[level], sink, known)
        await self._read_windows(plan[None], sink, sensors)
        return plan, known

    async def _was_removed(self, plan: "_Plan", known: Mapping[str, "Known"]) -> bool:
        """Return whether the removal of something that was read has begun since it was planned."""
        names = {span.facility for spans in plan.values() for span in spans}
        now = await self._state.read_removed(names)
        for level, spans in plan.items():
            name = WINDOWS if level is None else level.name
            for facility, start_ms, _ in spans:
                removed_ms = now.get(facility, {}).get(name, 0)
                before = known.get(facility, _UNKNOWN).state.removed
                if start_ms < removed_ms and removed_ms > before.get(name, 0):
                    return True
        return False

    async def known(self, facilities: Collection[str]) -> Mapping[str, "Known"]:
        """Return what is known of the rollups of facilities; of those without any, nothing."""
        if len(facilities) < ALL:
            states = await self._state.read(facilities)
            return {
                name: Known(state, starts_of(await self._state.markers(name)))
                for name, state in states.items()
            }
        states = await self._state.read()
        markers = await self._state.next_markers(None, 0)
        marked = {
            name: starts_of(list(some))
            for name, some in groupby(markers, key=attrgetter("facility"))
        }
        return {name: Known(state, marked.get(name, ())) for name, state in states.items()}

    async def _read_level(
        self, level: Level, spans: Sequence[Span], sink: Sink, known: Mapping[str, "Known"]
    ) -> list[Span]:
        """Read buckets; return those that are to be read in more detail.

        What is below one that was too large for a document is not removed.
        """
        rest: list[Span] = []
        below = finer(level)
        name = WINDOWS if below is None else below.name
        for some in _chunks(spans):
            ranges = [{"_id": rollup_range(name, level, start, end)} for name, start, end in some]
            fields = {"summary": 1, "too_large": 1}
            async with aclosing(in_batches(self._rollups, any_of(ranges), fields)) as batches:
                async for batch in batches:
                    for document in batch:
                        facility = str(document["_id"]).partition("/")[0]
                        start_ms = rollup_start(document)
                        span = Span(facility, start_ms, start_ms + level.length_ms)
                        removed = known.get(facility, _UNKNOWN).state.removed
                        finest = span.end_ms <= removed.get(name, 0)
                        size = len(document.get("summary", b""))
                        take = partial(_take, sink, document, span, level, finest=finest)
                        if not await aside(size, take):
                            rest.append(span)
        return rest

    async def _read_windows(
        self, spans: Sequence[Span], sink: Sink, sensors: Collection[str]
    ) -> None:
        for some in _chunks(spans):
            condition = any_of([{"_id": id_range(*span)} for span in some])
            batches = folded_where(self._windows, with_sensors(condition, sensors), sensors)
            async with aclosing(batches):
                async for batch in batches:
                    await aside(batch.size, sink.take_windows, batch)


class Known(NamedTuple):
    """What is known of a facility's rollups."""

    state: State = State()
    marked: Sequence[int] = ()
    """Starts of the buckets of 5 minutes that are to be computed again, sorted."""


_UNKNOWN: Final = Known()

_Plan = dict[Level | None, list[Span]]
"""By level, or None for windows, what is read of it."""


def _take(sink: Sink, document: Document, span: Span, level: Level, *, finest: bool) -> bool:
    """Hand on a stored rollup; return False if what it is made from has to be read."""
    rollup = read_rollup(document)
    return rollup is not None and sink.take_rollup(span, level, rollup, finest=finest)


def any_of(conditions: Sequence[Document]) -> Document:
    """Return the condition that at least one of some conditions holds."""
    return conditions[0] if len(conditions) == 1 else {"$or": list(conditions)}


def _chunks(spans: Sequence[Span]) -> Iterator[Sequence[Span]]:
    ordered = sorted(spans)
    for at in range(0, len(ordered), SPANS):
        yield ordered[at : at + SPANS]
