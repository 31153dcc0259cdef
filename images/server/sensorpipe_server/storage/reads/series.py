"""Reads a series: what each sensor of some facilities measured, by buckets of equal length.

A range is read in slices of time, and if one bucket has more rows than a slice may have, in
groups of facilities, too. So the memory of an answer is that of a slice, however long the range.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from sensorpipe_schema.compacted_reading_pb2 import Rollup

from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.pace import aside
from sensorpipe_server.storage.queries import WindowBatch, report_unreadable
from sensorpipe_server.storage.reads.buckets import Buckets, Row, SketchBuckets, TooFineError
from sensorpipe_server.storage.reads.extents import (
    WINDOW_MS,
    Choice,
    Extent,
    Extents,
    common_units,
)
from sensorpipe_server.storage.reads.ranges import Ranges
from sensorpipe_server.storage.reads.reading import UNKNOWN, Span, Statuses
from sensorpipe_server.storage.reads.row_counts import RowCounts
from sensorpipe_server.storage.reads.steps import (
    buckets_in,
    ceil,
    floor,
    smallest_step,
    step_text,
    steps,
)
from sensorpipe_server.storage.rollups.levels import (
    DAY,
    LEVEL_NAMES,
    LEVELS,
    Level,
    Piece,
    cover,
)

MAX_ROWS: Final = 1_000_000
"""Largest number of rows of an answer."""

ROWS: Final = 5_000
"""Number of rows of a slice: some 3 MB, and 15 ms of work."""

SKETCHED_ROWS: Final = 1_000
"""The same with quantiles: a sketch may have some hundred buckets."""

LAG_MS: Final = DAY.length_ms
"""How much later than in the list of facilities a window may end, in milliseconds.

The list is some seconds behind, in which an outage of hours may be made up for.
"""

_ROW_BYTES: Final = 100
"""About as much work as a row are so many bytes of a message."""

_EXTENT_BYTES: Final = 2_000
"""As much work as planning for a facility are so many bytes of a message."""

_EXAMPLES: Final = 5

ATTEMPTS: Final = 3
"""Largest number of times that a series is begun again because retention removed a part of it."""


class Query(NamedTuple):
    """What is asked for; times in unix milliseconds."""

    facilities: Choice
    sensors: Sequence[str]
    from_ms: int
    to_ms: int
    every_ms: int | None
    """Length of a bucket; None for the smallest that gives at most `points` of them."""
    points: int
    quantiles: Sequence[str]
    now_ms: int


class WrongStepError(ValueError):
    """A length of buckets that is no multiple of the windows' length."""


class TooManyRowsError(Exception):
    """A series of more than MAX_ROWS rows; `every_ms` is a length that gives fewer, if any does."""

    def __init__(self, every_ms: int | None) -> None:
        super().__init__(f"more than {MAX_ROWS:,} rows")
        self.every_ms = every_ms


class Plan(NamedTuple):
    """How a series is read: whole buckets of `every_ms` in `from_ms <= time < to_ms`."""

    query: Query
    every_ms: int
    from_ms: int
    to_ms: int
    extents: Sequence[Extent]
    statuses: Statuses
    units: Mapping[str, str] = {}
    """Units by sensor, where they are known and the facilities do not differ in them."""

    @property
    def level(self) -> Level | None:
        """The longest level whose rollups are parts of buckets; None for the windows."""
        fit = [level for level in LEVELS if self.every_ms % level.length_ms == 0]
        return fit[-1] if fit else None

    def pieces(self, coarsest: Level) -> Iterator[tuple[str, Piece]]:
        """Yield the rollups and windows of the range by facility, of no level above `coarsest`."""
        for each in self.extents:
            state, marked = self.statuses.get(each.facility, UNKNOWN)
            span = max(self.from_ms, each.first_ms), min(self.to_ms, each.end_ms)
            for piece in cover(*span, state.done_ms, marked, state.removed, coarsest=coarsest):
                yield each.facility, piece

    def slices(self, rows: int) -> Iterator[tuple[int, int, list[str]]]:
        """Yield ranges of whole buckets, and facilities, that have at most so many rows.

        They are in order of time, then of facilities. A single bucket of a single facility is
        not divided.
        """
        in_bucket = sum(each.sensors for each in self.extents)
        length_ms = max(1, rows // max(1, in_bucket)) * self.every_ms
        at = self.from_ms
        while at < self.to_ms:
            left = [each for each in self.extents if each.end_ms + LAG_MS > at]
            if not left:
                return
            at = max(at, floor(min(each.first_ms for each in left), self.every_ms))
            end = min(at + length_ms, self.to_ms)
            for some in _groups(left, rows):
                if names := [each.facility for each in some if each.first_ms < end]:
                    yield at, end, names
            at = end


def _groups(extents: Sequence[Extent], rows: int) -> Iterator[list[Extent]]:
    """Yield facilities, so many at a time that a bucket of them has at most so many rows."""
    some: list[Extent] = []
    sensors = 0
    for each in extents:
        sensors += each.sensors
        if some and sensors > rows:
            yield some
            some, sensors = [], each.sensors
        some.append(each)
    if some:
        yield some


class Series:
    """Plans and reads series."""

    def __init__(self, db: Database) -> None:
        self._extents = Extents(db)
        self._ranges = Ranges(db)
        self._counts = RowCounts(db)

    async def begin(self, query: Query) -> tuple[Plan, list[Row], AsyncGenerator[list[Row]]]:
        """Return the plan of a series, its first slice of rows, and the others.

        Raises WrongStepError and TooManyRowsError; the generator raises TooFineError if retention
        removes something before it is read.
        """
        for attempt in range(ATTEMPTS):
            plan = await self._plan(query)
            slices = self._slices(plan)
            try:
                return plan, await anext(slices, []), slices
            except TooFineError:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError

    async def _plan(self, query: Query) -> Plan:
        extents = await self._extents.read(query.facilities, query.sensors)
        statuses = await self._ranges.read_status([each.facility for each in extents])
        size = len(extents) * _EXTENT_BYTES
        plan, base_ms = await aside(size, _plan, query, extents, statuses)
        if most_rows(plan.extents, plan.from_ms, plan.to_ms, plan.every_ms) > MAX_ROWS:
            asked = plan.pieces, plan.every_ms, base_ms, query.sensors
            if await self._counts.are_over(MAX_ROWS, *asked):
                raise TooManyRowsError(await aside(size, _coarser, plan, base_ms))
        return plan

    async def _slices(self, plan: Plan) -> AsyncGenerator[list[Row]]:
        """Yield the rows, ordered by time, facility and sensor; each list has at least one."""
        most = SKETCHED_ROWS if plan.query.quantiles else ROWS
        for start_ms, end_ms, names in plan.slices(most):
            read = self._sketched if plan.query.quantiles else self._plain
            if rows := await read(plan, start_ms, end_ms, names):
                yield rows

    async def _plain(
        self, plan: Plan, start_ms: int, end_ms: int, names: Sequence[str]
    ) -> list[Row]:
        found = await self._ranges.read_plain(
            names,
            start_ms,
            end_ms,
            lambda: Buckets(plan.every_ms),
            sensors=plan.query.sensors,
            coarsest=plan.level,
            statuses=plan.statuses,
        )
        return await aside(len(found) * _ROW_BYTES, found.rows)

    async def _sketched(
        self, plan: Plan, start_ms: int, end_ms: int, names: Sequence[str]
    ) -> list[Row]:
        query = plan.query
        found = await self._ranges.read(
            names,
            start_ms,
            end_ms,
            lambda: _Sketches(SketchBuckets(plan.every_ms, query.quantiles, query.sensors)),
            sensors=query.sensors,
            coarsest=plan.level,
            statuses=plan.statuses,
        )
        return await asyncio.to_thread(found.buckets.rows)


class _Sketches:
    """Passes whole summaries to buckets."""

    def __init__(self, buckets: SketchBuckets) -> None:
        self.buckets = buckets

    def take_rollup(self, span: Span, level: Level, rollup: Rollup, *, finest: bool) -> bool:  # noqa: ARG002
        """Add a rollup."""
        self.buckets.take_rollup(span.facility, span.start_ms, level, rollup)
        return True

    def take_windows(self, batch: WindowBatch) -> None:
        """Add windows."""
        for window in batch.windows:
            if not self.buckets.take_window(window):
                report_unreadable()


def _plan(query: Query, extents: Sequence[Extent], statuses: Statuses) -> tuple[Plan, int]:
    """Return how a series is read, and the length that its buckets are multiples of."""
    extents = _kept(extents, statuses)
    base_ms = math.lcm(*(each.length_ms for each in extents)) if extents else WINDOW_MS
    if query.every_ms is not None and query.every_ms % base_ms:
        raise WrongStepError(_wrong(query.every_ms, base_ms))
    low = max(query.from_ms, min((each.first_ms for each in extents), default=query.from_ms))
    high = min(query.to_ms, max([query.now_ms, *(each.end_ms for each in extents)]))
    every_ms = _step(query, extents, statuses, base_ms, (low, max(low, high)))
    low, high = floor(low, every_ms), ceil(max(low, high), every_ms)
    units = common_units(extents, query.sensors)
    return Plan(query, every_ms, low, high, extents, statuses, units), base_ms


def most_rows(extents: Sequence[Extent], from_ms: int, to_ms: int, every_ms: int) -> int:
    """Return how many rows a range has if no window is missing."""
    return sum(
        each.sensors * buckets_in(max(from_ms, each.first_ms), min(to_ms, each.end_ms), every_ms)
        for each in extents
    )


def _kept(extents: Sequence[Extent], statuses: Statuses) -> list[Extent]:
    """Return extents without what was removed from all levels."""
    kept = []
    for each in extents:
        state = statuses.get(each.facility, UNKNOWN).state
        first_ms = max(each.first_ms, state.removed.get(DAY.name, 0))
        if first_ms < each.end_ms:
            kept.append(each._replace(first_ms=first_ms))
    return kept


def _step(
    query: Query,
    extents: Sequence[Extent],
    statuses: Statuses,
    base_ms: int,
    span: tuple[int, int],
) -> int:
    """Return the length of the buckets, for which what is kept is fine enough."""

    def fits(every_ms: int) -> bool:
        buckets = buckets_in(*span, every_ms)
        if buckets > query.points:
            return False
        return buckets <= 1 or most_rows(extents, *span, every_ms) <= MAX_ROWS

    for _ in LEVEL_NAMES:
        if query.every_ms is None:
            every_ms = smallest_step(base_ms, fits)
        else:
            every_ms = ceil(query.every_ms, base_ms)
        finest = _finest(query, extents, statuses, every_ms)
        if finest is None or every_ms % finest.length_ms == 0:
            break
        base_ms = finest.length_ms
    return every_ms


def _finest(
    query: Query, extents: Sequence[Extent], statuses: Statuses, every_ms: int
) -> Level | None:
    """Return the finest level that is kept of all of a range; None for the windows."""
    coarsest = 0
    for each in extents:
        start_ms = floor(max(query.from_ms, each.first_ms), every_ms)
        if start_ms < query.to_ms:
            state = statuses.get(each.facility, UNKNOWN).state
            kept = state.finest(start_ms) or DAY.name
            coarsest = max(coarsest, LEVEL_NAMES.index(kept))
    return LEVELS[coarsest - 1] if coarsest else None


def _wrong(every_ms: int, base_ms: int) -> str:
    allowed = ", ".join(step_text(each) for each in islice(steps(base_ms), _EXAMPLES))
    return (
        f"must be auto or a multiple of the length of the windows, {step_text(base_ms)}, such as "
        f"{allowed}; got {step_text(every_ms)!r}"
    )


def _coarser(plan: Plan, base_ms: int) -> int | None:
    """Return a length of buckets that gives at most MAX_ROWS; None if each has more."""
    span = plan.from_ms, plan.to_ms
    for every_ms in steps(base_ms):
        if most_rows(plan.extents, *span, every_ms) <= MAX_ROWS:
            return every_ms
        if buckets_in(*span, every_ms) <= 1:
            break
    return None
