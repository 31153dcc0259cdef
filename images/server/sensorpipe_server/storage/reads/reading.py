"""Finds out which rollups and windows make up a time range of facilities, and reads them.

Buckets without a rollup, marked buckets and those that have to be read more finely are read from
the level below, finally from the windows. Groups of facilities share the same few queries, and
while MongoDB answers for one group, another one is added up.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from sensorpipe_server.storage.documents import Document, id_range
from sensorpipe_server.storage.rollups.levels import DAY, Level, Piece, cover, rollup_range
from sensorpipe_server.storage.rollups.state import State

SPANS: Final = 100
"""Largest number of ranges that one query asks for."""

TOGETHER: Final = 33
"""Number of facilities that share queries; as a rule each has three ranges of rollups."""

AT_ONCE: Final = 2
"""Number of groups of facilities that are read concurrently."""

T = TypeVar("T")


class Span(NamedTuple):
    """A range of starts of one facility's buckets or windows, in unix milliseconds."""

    facility: str
    start_ms: int
    end_ms: int


class RollupStatus(NamedTuple):
    """How far the rollups of a facility are computed, and which are to be computed again."""

    state: State = State()
    marked: Sequence[int] = ()
    """Starts of the buckets of 5 minutes that are to be computed again, sorted."""


Statuses = Mapping[str, RollupStatus]
"""By facility; one without rollups is missing."""

UNKNOWN: Final = RollupStatus()
"""The status of a facility without rollups."""


class Part(NamedTuple):
    """Buckets of a level, or, without a level, windows, that are read."""

    level: Level | None
    span: Span


class Reading(ABC):
    """Reads a range once, given the `statuses` of its rollups; `parts` lists what was read."""

    def __init__(self, statuses: Statuses, coarsest: Level | None = DAY) -> None:
        self.statuses = statuses
        self.parts: list[Part] = []
        self.taking = asyncio.Lock()
        """Held while something is added up, which may be in a thread."""
        self._coarsest = coarsest

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

    @abstractmethod
    async def read_rollups(self, conditions: Sequence[Document]) -> list[Part]:
        """Read the buckets of some ranges; return what to read on the level below instead."""

    @abstractmethod
    async def read_windows(self, conditions: Sequence[Document]) -> None:
        """Read the windows of some ranges."""

    def _parts_of(self, facilities: Iterable[str], from_ms: int, to_ms: int) -> list[Part]:
        return [
            Part(level, Span(name, start_ms, end_ms))
            for name in facilities
            for level, start_ms, end_ms in self._cover(name, from_ms, to_ms)
        ]

    def _cover(self, facility: str, from_ms: int, to_ms: int) -> Iterator[Piece]:
        state, marked = self.statuses.get(facility, UNKNOWN)
        return cover(from_ms, to_ms, state.done_ms, marked, state.removed, coarsest=self._coarsest)

    async def _read(self, parts: list[Part]) -> None:
        windows: list[Span] = []
        while parts:
            self.parts += parts
            windows += [span for level, span in parts if level is None]
            ranges = [
                {"_id": rollup_range(span.facility, level, span.start_ms, span.end_ms)}
                for level, span in parts
                if level is not None
            ]
            parts = [part for some in _chunks(ranges) for part in await self.read_rollups(some)]
        for some in _chunks(_joined(windows)):
            await self.read_windows([{"_id": id_range(*span)} for span in some])


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
