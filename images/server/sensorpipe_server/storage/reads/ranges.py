"""Reads a time range of many facilities: rollups, and the windows at its edges.

Buckets without a rollup, marked buckets and those whose rollup a sink does not take are read from
the level below, finally from the windows. Groups of facilities share the same few queries, and
while MongoDB answers for one group, another one is added up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from itertools import groupby, islice
from operator import attrgetter
from typing import Final, NamedTuple, Protocol, TypeVar

from sensorpipe_schema.compacted_reading_pb2 import Rollup

from sensorpipe_server.storage.documents import Document, id_range
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.pace import aside
from sensorpipe_server.storage.queries import (
    WindowBatch,
    any_of,
    folded_where,
    in_batches,
    with_sensors,
)
from sensorpipe_server.storage.rollups.levels import (
    WINDOWS,
    Level,
    Piece,
    cover,
    finer,
    read_rollup,
    rollup_level,
    rollup_range,
    rollup_start,
)
from sensorpipe_server.storage.rollups.state import RollupState, State, starts_of

ATTEMPTS: Final = 3
"""Largest number of times that something is read because part of it was removed meanwhile."""

SPANS: Final = 100
"""Largest number of ranges that one query asks for."""

TOGETHER: Final = 33
"""Number of facilities that share queries; as a rule each has three ranges of rollups."""

AT_ONCE: Final = 2
"""Number of groups of facilities that are read concurrently."""

ALL: Final = 20
"""Smallest number of facilities for which the state and markers of all are read at once."""


class Span(NamedTuple):
    """A range of starts of one facility's buckets or windows, in unix milliseconds."""

    facility: str
    start_ms: int
    end_ms: int


class Sink(Protocol):
    """Takes rollups and windows, in any order, one call at a time; large ones in a thread."""

    def take_rollup(self, span: Span, level: Level, rollup: Rollup, *, finest: bool) -> bool:
        """Take the rollup of a bucket; return False to get the level below in its place.

        The `finest` rollup must be taken, since the level below was removed.
        """

    def take_windows(self, batch: WindowBatch) -> None:
        """Take some windows of one facility or of several."""


S = TypeVar("S", bound=Sink)
T = TypeVar("T")


async def read_whole(
    read: Callable[[], Awaitable[T]], is_whole: Callable[[T], Awaitable[bool]]
) -> T:
    """Return the result of `read`; read again, a few times, if part of it was removed meanwhile."""
    for _ in range(ATTEMPTS - 1):
        found = await read()
        if await is_whole(found):
            return found
    return await read()


class Ranges:
    """Reads time ranges of facilities into sinks."""

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
        """Return a sink with all windows that start in `from_ms <= start < to_ms`, each once.

        With `sensors` windows without any of these are left out. A bucket whose windows were
        removed counts as a whole if it starts within the range. If part of the range is removed
        meanwhile, all is read again into another sink, a few times.
        """

        async def read() -> tuple[S, _Reading]:
            sink, statuses = make(), await self.read_status(facilities)
            reading = _Reading(self._windows, self._rollups, statuses, sink, sensors)
            await reading.read(facilities, from_ms, to_ms)
            return sink, reading

        async def is_whole(found: tuple[S, _Reading]) -> bool:
            return not await self._was_removed(found[1])

        sink, _ = await read_whole(read, is_whole)
        return sink

    async def _was_removed(self, reading: "_Reading") -> bool:
        """Return whether the removal of a part that was read has begun since `statuses`."""
        now = await self._state.read_removed({span.facility for _, span in reading.parts})
        for level, (facility, start_ms, _) in reading.parts:
            name = WINDOWS if level is None else level.name
            removed_ms = now.get(facility, {}).get(name, 0)
            before = reading.statuses.get(facility, _UNKNOWN).state.removed
            if start_ms < removed_ms and removed_ms > before.get(name, 0):
                return True
        return False

    async def read_status(self, facilities: Collection[str]) -> Mapping[str, "RollupStatus"]:
        """Return the status of the rollups by facility; facilities without rollups are missing."""
        if len(facilities) < ALL:
            states = await self._state.read(facilities)
            return {
                name: RollupStatus(state, starts_of(await self._state.markers(name)))
                for name, state in states.items()
            }
        states = await self._state.read()
        markers = await self._state.next_markers(None, 0)
        marked = {
            name: starts_of(list(some))
            for name, some in groupby(markers, key=attrgetter("facility"))
        }
        return {name: RollupStatus(state, marked.get(name, ())) for name, state in states.items()}


class RollupStatus(NamedTuple):
    """How far the rollups of a facility are computed, and which are to be computed again."""

    state: State = State()
    marked: Sequence[int] = ()
    """Starts of the buckets of 5 minutes that are to be computed again, sorted."""


_UNKNOWN: Final = RollupStatus()


class _Part(NamedTuple):
    """Buckets of a level, or, without a level, windows, that are read."""

    level: Level | None
    span: Span


class _Reading:
    """Reads a range once, given the `statuses` of its rollups; `parts` lists what was read."""

    def __init__(
        self,
        windows: database.Collection,
        rollups: database.Collection,
        statuses: Mapping[str, RollupStatus],
        sink: Sink,
        sensors: Collection[str],
    ) -> None:
        self.parts: list[_Part] = []
        self._windows = windows
        self._rollups = rollups
        self.statuses = statuses
        self._sink = sink
        self._sensors = sensors
        self._taking = asyncio.Lock()

    async def read(self, facilities: Iterable[str], from_ms: int, to_ms: int) -> None:
        """Read a range of facilities, a few groups of them at once."""
        left = iter(facilities)

        async def read_groups() -> None:
            while group := list(islice(left, TOGETHER)):
                await asyncio.sleep(0)  # lets other tasks run if there is nothing to read
                await self._read(self._parts_of(group, from_ms, to_ms))

        reading = [asyncio.create_task(read_groups()) for _ in range(AT_ONCE)]
        try:
            await asyncio.gather(*reading)
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    def _parts_of(self, facilities: Iterable[str], from_ms: int, to_ms: int) -> list[_Part]:
        return [
            _Part(level, Span(name, start_ms, end_ms))
            for name in facilities
            for level, start_ms, end_ms in self._cover(name, from_ms, to_ms)
        ]

    def _cover(self, facility: str, from_ms: int, to_ms: int) -> Iterator[Piece]:
        state, marked = self.statuses.get(facility, _UNKNOWN)
        return cover(from_ms, to_ms, state.done_ms, marked, state.removed)

    async def _read(self, parts: list[_Part]) -> None:
        windows: list[Span] = []
        while parts:
            self.parts += parts
            windows += [span for level, span in parts if level is None]
            parts = await self._read_rollups(parts)
        await self._read_windows(windows)

    async def _read_rollups(self, parts: Iterable[_Part]) -> list[_Part]:
        """Read buckets; return the parts of the level below to read in their place."""
        ranges = [
            {"_id": rollup_range(span.facility, level, span.start_ms, span.end_ms)}
            for level, span in parts
            if level is not None
        ]
        rest: list[_Part] = []
        fields = {"summary": 1, "too_large": 1}
        for some in _chunks(ranges):
            async with aclosing(in_batches(self._rollups, any_of(some), fields)) as batches:
                async for batch in batches:
                    size = sum(len(document.get("summary", b"")) for document in batch)
                    async with self._taking:
                        rest += await aside(size, self._take_rollups, batch)
        return rest

    def _take_rollups(self, documents: Iterable[Document]) -> list[_Part]:
        """Pass stored rollups to the sink; return the parts to read in their place.

        The level below a rollup that was too large to store is never removed.
        """
        rest: list[_Part] = []
        for document in documents:
            facility = str(document["_id"]).partition("/")[0]
            level, start_ms = rollup_level(document), rollup_start(document)
            below = finer(level)
            span = Span(facility, start_ms, start_ms + level.length_ms)
            removed = self.statuses.get(facility, _UNKNOWN).state.removed
            finest = span.end_ms <= removed.get(WINDOWS if below is None else below.name, 0)
            rollup = read_rollup(document)
            if rollup is None or not self._sink.take_rollup(span, level, rollup, finest=finest):
                rest.append(_Part(below, span))
        return rest

    async def _read_windows(self, spans: Iterable[Span]) -> None:
        for some in _chunks(_joined(spans)):
            condition = any_of([{"_id": id_range(*span)} for span in some])
            condition = with_sensors(condition, self._sensors)
            async with aclosing(folded_where(self._windows, condition, self._sensors)) as batches:
                async for batch in batches:
                    async with self._taking:
                        await aside(batch.size, self._sink.take_windows, batch)


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, with adjacent ones joined."""
    joined: list[Span] = []
    for span in sorted(spans):
        last = joined[-1] if joined else None
        if last is not None and (last.facility, last.end_ms) == span[:2]:
            joined[-1] = last._replace(end_ms=span.end_ms)
        else:
            joined.append(span)
    return joined


def _chunks(some: Sequence[T]) -> Iterator[Sequence[T]]:
    for at in range(0, len(some), SPANS):
        yield some[at : at + SPANS]
