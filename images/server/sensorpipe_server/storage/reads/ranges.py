"""Reads a time range of many facilities: rollups, and the windows at its edges."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from itertools import groupby
from operator import attrgetter
from typing import Final, Generic, Protocol, TypeVar

from sensorpipe_schema.compacted_reading_pb2 import Rollup

from sensorpipe_server.storage.documents import Document
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
from sensorpipe_server.storage.reads.plain import PlainReading, PlainSink
from sensorpipe_server.storage.reads.reading import (
    UNKNOWN,
    Part,
    Reading,
    RollupStatus,
    Span,
    Statuses,
)
from sensorpipe_server.storage.rollups.levels import (
    DAY,
    WINDOWS,
    Level,
    finer,
    read_rollup,
    rollup_level,
    rollup_start,
)
from sensorpipe_server.storage.rollups.state import RollupState, starts_of

ATTEMPTS: Final = 3
"""Largest number of times that something is read because part of it was removed meanwhile."""

ALL: Final = 20
"""Smallest number of facilities for which the state and markers of all are read at once."""


class Sink(Protocol):
    """Takes rollups and windows, in any order, one call at a time; large ones in a thread."""

    def take_rollup(self, span: Span, level: Level, rollup: Rollup, *, finest: bool) -> bool:
        """Take the rollup of a bucket; return False to get the level below in its place.

        The `finest` rollup must be taken, since the level below was removed.
        """

    def take_windows(self, batch: WindowBatch) -> None:
        """Take some windows of one facility or of several."""


S = TypeVar("S", bound=Sink)
P = TypeVar("P", bound=PlainSink)
R = TypeVar("R", bound=Reading)
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
    """Reads time ranges of facilities into sinks.

    A bucket whose windows were removed counts as a whole if it starts within the range. If part
    of the range is removed meanwhile, all is read again into another sink, a few times.
    `coarsest` is the longest level that is read, as long as the finer ones are kept; None stands
    for the windows.
    """

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
        coarsest: Level | None = DAY,
        statuses: Statuses | None = None,
    ) -> S:
        """Return a sink with all windows that start in `from_ms <= start < to_ms`, each once.

        With `sensors` windows without any of these are left out. `statuses` are those of the
        facilities, if they were just read.
        """

        def begin(statuses: Statuses) -> "_FullReading[S]":
            collections = self._windows, self._rollups
            return _FullReading(collections, statuses, coarsest, make(), sensors)

        reading = await self._whole(facilities, from_ms, to_ms, begin, statuses)
        return reading.sink

    async def read_plain(
        self,
        facilities: Collection[str],
        from_ms: int,
        to_ms: int,
        make: Callable[[], P],
        *,
        sensors: Collection[str] = (),
        coarsest: Level | None = DAY,
        statuses: Statuses | None = None,
    ) -> P:
        """Return a sink with the same, only count, mean, m2, minimum and maximum of sensors.

        With `sensors` only of these.
        """

        def begin(statuses: Statuses) -> PlainReading[P]:
            collections = self._windows, self._rollups
            return PlainReading(collections, statuses, coarsest, make(), sensors)

        reading = await self._whole(facilities, from_ms, to_ms, begin, statuses)
        return reading.sink

    async def _whole(
        self,
        facilities: Collection[str],
        from_ms: int,
        to_ms: int,
        begin: Callable[[Statuses], R],
        statuses: Statuses | None,
    ) -> R:
        known = [] if statuses is None else [statuses]

        async def read() -> R:
            reading = begin(known.pop() if known else await self.read_status(facilities))
            await reading.read(facilities, from_ms, to_ms)
            return reading

        async def is_whole(reading: R) -> bool:
            return not await self._was_removed(reading)

        return await read_whole(read, is_whole)

    async def _was_removed(self, reading: Reading) -> bool:
        """Return whether the removal of a part that was read has begun since `statuses`."""
        now = await self._state.read_removed({span.facility for _, span in reading.parts})
        for level, (facility, start_ms, _) in reading.parts:
            name = WINDOWS if level is None else level.name
            removed_ms = now.get(facility, {}).get(name, 0)
            before = reading.statuses.get(facility, UNKNOWN).state.removed
            if start_ms < removed_ms and removed_ms > before.get(name, 0):
                return True
        return False

    async def read_status(self, facilities: Collection[str]) -> Statuses:
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


class _FullReading(Reading, Generic[S]):
    """Reads whole summaries into a sink."""

    def __init__(
        self,
        collections: tuple[database.Collection, database.Collection],
        statuses: Statuses,
        coarsest: Level | None,
        sink: S,
        sensors: Collection[str],
    ) -> None:
        super().__init__(statuses, coarsest)
        self.sink = sink
        self._windows, self._rollups = collections
        self._sensors = sensors

    async def read_rollups(self, conditions: Sequence[Document]) -> list[Part]:
        """Read the buckets of some ranges; return what to read on the level below instead."""
        rest: list[Part] = []
        fields = {"summary": 1, "too_large": 1}
        async with aclosing(in_batches(self._rollups, any_of(conditions), fields)) as batches:
            async for batch in batches:
                size = sum(len(document.get("summary", b"")) for document in batch)
                async with self.taking:
                    rest += await aside(size, self._take_rollups, batch)
        return rest

    def _take_rollups(self, documents: Iterable[Document]) -> list[Part]:
        """Pass stored rollups to the sink; return the parts to read in their place.

        The level below a rollup that was too large to store is never removed.
        """
        rest: list[Part] = []
        for document in documents:
            facility = str(document["_id"]).partition("/")[0]
            level, start_ms = rollup_level(document), rollup_start(document)
            below = finer(level)
            span = Span(facility, start_ms, start_ms + level.length_ms)
            removed = self.statuses.get(facility, UNKNOWN).state.removed
            finest = span.end_ms <= removed.get(WINDOWS if below is None else below.name, 0)
            rollup = read_rollup(document)
            if rollup is None or not self.sink.take_rollup(span, level, rollup, finest=finest):
                rest.append(Part(below, span))
        return rest

    async def read_windows(self, conditions: Sequence[Document]) -> None:
        """Read the windows of some ranges."""
        condition = with_sensors(any_of(conditions), self._sensors)
        async with aclosing(folded_where(self._windows, condition, self._sensors)) as batches:
            async for batch in batches:
                async with self.taking:
                    await aside(batch.size, self.sink.take_windows, batch)
