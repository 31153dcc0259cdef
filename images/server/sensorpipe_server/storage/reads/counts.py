"""How many windows a facility has in a range, and where the page at an offset begins.

Rollups say how many windows they hold; only windows at the edges of a range are counted.
"""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple, TypeVar

from sensorpipe_server.storage.documents import END_OF_TIME_MS, id_range
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.queries import any_of, count_windows, in_batches, with_sensors
from sensorpipe_server.storage.reads.ranges import read_whole
from sensorpipe_server.storage.reads.reading import SPANS, RollupStatus
from sensorpipe_server.storage.rollups.levels import (
    DAY,
    FIVE_MINUTES,
    WINDOWS,
    Level,
    Piece,
    cover,
    finer,
    rollup_level,
    rollup_range,
    rollup_start,
)
from sensorpipe_server.storage.rollups.state import RollupState, State, starts_of

T = TypeVar("T")


class Stretch(NamedTuple):
    """The number of windows in one bucket of a level, or, without a level, in a range."""

    start_ms: int
    end_ms: int
    level: Level | None
    windows: int


class WindowQuery(NamedTuple):
    """Windows of a facility that start in a range; with `sensors`, those that have one of them.

    Both bounds of the range are in unix milliseconds.
    """

    facility: str
    from_ms: int
    to_ms: int
    sensors: Sequence[str] = ()


class Counts:
    """Counts windows."""

    def __init__(self, db: Database) -> None:
        self._windows = database.windows(db)
        self._rollups = database.rollups(db)
        self._state = RollupState(db)

    async def read_consistently(self, facility: str, read: Callable[[State], Awaitable[T]]) -> T:
        """Return the result of `read`, which is passed the state of the facility.

        If part of it was removed meanwhile, it is read again, a few times.
        """

        async def read_between() -> tuple[State, T]:
            state = (await self._state.read([facility])).get(facility, State())
            return state, await read(state)

        async def is_whole(found: tuple[State, T]) -> bool:
            now = await self._state.read_removed([facility])
            return now.get(facility, {}) == found[0].removed

        _, found = await read_whole(read_between, is_whole)
        return found

    async def read_status(self, facility: str, state: State) -> RollupStatus:
        """Return the status of a facility's rollups, given its state, which was just read."""
        return RollupStatus(state, starts_of(await self._state.markers(facility)))

    async def stretches(
        self, query: WindowQuery, status: RollupStatus, coarsest: Level = DAY
    ) -> list[Stretch]:
        """Return the numbers of windows that are not removed, the oldest first.

        `status` was read before.
        """
        state, marked = status
        kept_ms = max(query.from_ms, state.removed.get(WINDOWS, 0))
        pieces = list(cover(kept_ms, query.to_ms, state.done_ms, marked, coarsest=coarsest))
        found: list[Stretch] = []
        windows: list[Piece] = []
        while pieces:
            windows += [piece for piece in pieces if piece.level is None]
            buckets, pieces = await self._buckets(query, pieces)
            found += buckets
        for some in _queries(_joined(windows, DAY.length_ms)):
            found += await self._count(query, some)
        return sorted(found, key=lambda stretch: stretch.start_ms)

    async def place(
        self, query: WindowQuery, status: RollupStatus, stretches: Iterable[Stretch], offset: int
    ) -> tuple[int, int] | None:
        """Return the place of the window at an offset, newest first; None if there are fewer.

        It is the start in unix milliseconds before which the window starts, and the number of
        windows to skip from there on.
        """
        at = _stretch_at(stretches, offset)
        while at is not None:
            (start_ms, end_ms, level, _), offset = at
            below = None if level is None else finer(level)
            if below is None:
                return end_ms, offset
            inner = query._replace(from_ms=start_ms, to_ms=end_ms)
            at = _stretch_at(await self.stretches(inner, status, below), offset)
        return None

    async def _count(self, query: WindowQuery, pieces: Sequence[Piece]) -> list[Stretch]:
        """Count windows one by one, in ranges no two of which are in the same 5 minutes."""
        ranges = [
            {"_id": id_range(query.facility, start_ms, end_ms)} for _, start_ms, end_ms in pieces
        ]
        condition = with_sensors(any_of(ranges), query.sensors)
        step_ms = FIVE_MINUTES.length_ms if len(pieces) > 1 else END_OF_TIME_MS
        counts = await count_windows(self._windows, condition, step_ms)
        starts = [FIVE_MINUTES.start(piece.start_ms) for piece in pieces]
        found = [Stretch(start_ms, end_ms, None, 0) for _, start_ms, end_ms in pieces]
        for start_ms, number in counts.items():
            at = max(
                0, bisect_right(starts, start_ms) - 1
            )  # documents that are not partials are at 0
            found[at] = found[at]._replace(windows=found[at].windows + number)
        return found

    async def _buckets(
        self, query: WindowQuery, pieces: Iterable[Piece]
    ) -> tuple[list[Stretch], list[Piece]]:
        """Return counted buckets, and the ranges to count on the level below."""
        found: list[Stretch] = []
        rest: list[Piece] = []
        fields = {"windows": 1, **{f"sensors.{name}.windows": 1 for name in query.sensors}}
        ranges = [
            {"_id": rollup_range(query.facility, level, start_ms, end_ms)}
            for level, start_ms, end_ms in _joined(pieces)
            if level is not None
        ]
        for at in range(0, len(ranges), SPANS):
            condition = any_of(ranges[at : at + SPANS])
            async with aclosing(in_batches(self._rollups, condition, fields)) as batches:
                async for batch in batches:
                    for document in batch:
                        level, start_ms = rollup_level(document), rollup_start(document)
                        end_ms = start_ms + level.length_ms
                        windows = _windows_in(document, query.sensors)
                        if windows is None:
                            rest.append(Piece(finer(level), start_ms, end_ms))
                        elif windows:
                            found.append(Stretch(start_ms, end_ms, level, windows))
        return found, rest


def _joined(pieces: Iterable[Piece], longest_ms: int = END_OF_TIME_MS) -> list[Piece]:
    """Return pieces with adjacent ones of a level joined, up to a length in milliseconds."""
    joined: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: (piece.level or (), piece.start_ms)):
        level, start_ms, end_ms = piece
        last = joined[-1] if joined else None
        if (
            last is not None
            and (last.level, last.end_ms) == (level, start_ms)
            and end_ms - last.start_ms <= longest_ms
        ):
            joined[-1] = Piece(level, last.start_ms, end_ms)
        else:
            joined.append(piece)
    return joined


def _queries(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yield pieces, as many at a time as one query may count: a day of windows, or one piece."""
    some: list[Piece] = []
    length_ms = 0
    for piece in pieces:
        length_ms += piece.end_ms - piece.start_ms
        if some and (len(some) == SPANS or length_ms > DAY.length_ms):
            yield some
            some, length_ms = [], piece.end_ms - piece.start_ms
        some.append(piece)
    if some:
        yield some


def _stretch_at(stretches: Iterable[Stretch], offset: int) -> tuple[Stretch, int] | None:
    """Return the stretch that has the window at an offset, and its offset there."""
    for stretch in sorted(stretches, reverse=True):
        if offset < stretch.windows:
            return stretch, offset
        offset -= stretch.windows
    return None


def _windows_in(document: Mapping[str, Any], sensors: Sequence[str]) -> int | None:
    """Return the number of windows in a bucket with one of the sensors; None if unknown."""
    windows: int | None = document.get("windows")
    if windows is None or not sensors:
        return windows
    counts = [entry["windows"] for entry in document.get("sensors", {}).values()]
    highest = max(counts, default=0)
    return highest if len(counts) <= 1 or highest == windows else None
