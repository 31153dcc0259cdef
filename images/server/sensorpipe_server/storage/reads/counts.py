"""How many windows a facility has in a range, and where the page at an offset begins.

Rollups say how many windows they hold; only those at the edges of a range are counted.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple, TypeVar

from sensorpipe_server.storage.documents import END_OF_TIME_MS, id_range
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.queries import count_windows, in_batches, with_sensors
from sensorpipe_server.storage.reads.ranges import SPANS, Known, Ranges, any_of
from sensorpipe_server.storage.reads.whole import read_whole
from sensorpipe_server.storage.rollups.levels import (
    DAY,
    LEVELS,
    WINDOWS,
    Level,
    by_level,
    cover,
    finer,
    rollup_range,
    rollup_start,
)
from sensorpipe_server.storage.rollups.state import RollupState

T = TypeVar("T")


class Stretch(NamedTuple):
    """Windows of a facility: of one bucket of a level, or without a level of a range."""

    start_ms: int
    end_ms: int
    level: Level | None
    windows: int


class Asked(NamedTuple):
    """Which windows of a facility are asked for: with `sensors`, those that have one of them."""

    facility: str
    from_ms: int
    to_ms: int
    sensors: Sequence[str] = ()


class Counts:
    """Counts windows."""

    def __init__(self, db: Database) -> None:
        self._windows = database.windows(db)
        self._rollups = database.rollups(db)
        self._ranges = Ranges(db)
        self._state = RollupState(db)

    async def unremoved(self, facility: str, read: Callable[[], Awaitable[T]]) -> T:
        """Return what is read of a facility; read again, a few times, what is removed meanwhile."""

        async def read_between() -> tuple[Mapping[str, Mapping[str, int]], T]:
            return await self._state.read_removed([facility]), await read()

        async def is_whole(found: tuple[Mapping[str, Mapping[str, int]], T]) -> bool:
            return found[0] == await self._state.read_removed([facility])

        _, found = await read_whole(read_between, is_whole)
        return found

    async def stretches(self, asked: Asked, coarsest: Level = DAY) -> list[Stretch]:
        """Return the windows that are kept, counted, the oldest first."""
        known = (await self._ranges.known([asked.facility])).get(asked.facility, Known())
        kept_ms = max(asked.from_ms, known.state.removed.get(WINDOWS, 0))
        plan: dict[Level | None, list[tuple[int, int]]] = by_level()
        done_ms, marked = known.state.done_ms, known.marked
        for piece in cover(kept_ms, asked.to_ms, done_ms, marked, coarsest=coarsest):
            plan[piece.level].append((piece.start_ms, piece.end_ms))
        found: list[Stretch] = []
        for level in reversed(LEVELS):
            buckets, rest = await self._buckets(asked, level, plan[level])
            found += buckets
            plan[finer(level)] += rest
        for start_ms, end_ms in _joined(plan[None], DAY.length_ms):
            condition = {"_id": id_range(asked.facility, start_ms, end_ms)}
            windows = await count_windows(self._windows, with_sensors(condition, asked.sensors))
            found.append(Stretch(start_ms, end_ms, None, windows))
        return sorted(found, key=lambda stretch: stretch.start_ms)

    async def place(
        self, asked: Asked, stretches: Iterable[Stretch], offset: int
    ) -> tuple[int, int] | None:
        """Return before which start the window at an offset is, newest first, and how far.

        The second is the number of windows to skip there. None where there are not so many.
        """
        at = _stretch_at(stretches, offset)
        while at is not None:
            (start_ms, end_ms, level, _), offset = at
            below = None if level is None else finer(level)
            if below is None:
                return end_ms, offset
            inner = asked._replace(from_ms=start_ms, to_ms=end_ms)
            at = _stretch_at(await self.stretches(inner, below), offset)
        return None

    async def _buckets(
        self, asked: Asked, level: Level, spans: Iterable[tuple[int, int]]
    ) -> tuple[list[Stretch], list[tuple[int, int]]]:
        """Return counted buckets, and ranges of which the level below has to be asked."""
        found: list[Stretch] = []
        rest: list[tuple[int, int]] = []
        fields = {"windows": 1, **{f"sensors.{name}.windows": 1 for name in asked.sensors}}
        ranges = [{"_id": rollup_range(asked.facility, level, *span)} for span in _joined(spans)]
        for at in range(0, len(ranges), SPANS):
            condition = any_of(ranges[at : at + SPANS])
            async with aclosing(in_batches(self._rollups, condition, fields)) as batches:
                async for batch in batches:
                    for document in batch:
                        start_ms = rollup_start(document)
                        end_ms = start_ms + level.length_ms
                        windows = _windows_in(document, asked.sensors)
                        if windows is None:
                            rest.append((start_ms, end_ms))
                        elif windows:
                            found.append(Stretch(start_ms, end_ms, level, windows))
        return found, rest


def _joined(
    spans: Iterable[tuple[int, int]], longest_ms: int = END_OF_TIME_MS
) -> list[tuple[int, int]]:
    """Return spans, those beside each other as one, up to a length in milliseconds."""
    joined: list[tuple[int, int]] = []
    for start_ms, end_ms in sorted(spans):
        if joined and joined[-1][1] == start_ms and end_ms - joined[-1][0] <= longest_ms:
            joined[-1] = (joined[-1][0], end_ms)
        else:
            joined.append((start_ms, end_ms))
    return joined


def _stretch_at(stretches: Iterable[Stretch], offset: int) -> tuple[Stretch, int] | None:
    """Return the stretch that has the window at an offset, and its offset there."""
    for stretch in sorted(stretches, reverse=True):
        if offset < stretch.windows:
            return stretch, offset
        offset -= stretch.windows
    return None


def _windows_in(document: Mapping[str, Any], sensors: Sequence[str]) -> int | None:
    """Return how many windows of a bucket have one of the sensors; None if it does not say."""
    windows: int | None = document.get("windows")
    if windows is None or not sensors:
        return windows
    counts = [entry["windows"] for entry in document.get("sensors", {}).values()]
    highest = max(counts, default=0)
    return highest if len(counts) <= 1 or highest == windows else None
