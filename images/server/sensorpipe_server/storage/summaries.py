"""Reads and adds up the stored summaries of one sensor, of windows or rollups.

Wrong sketches and intervals are stored all the same, since they affect no other sensor; here they
are left out and counted.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from sensorpipe_schema.compacted_reading_pb2 import SensorSummary, Source
from sensorpipe_schema.intervals import Interval
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.partial import add_sound_sketch, holds, pairs
from sensorpipe_schema.reading import MAX_SEQ
from sensorpipe_schema.sketch import Sketch

_PAIR: Final = 2


class Identified(NamedTuple):
    """The readings of a summary that have `src` and `seq`."""

    sources: list[tuple[str, list[Interval]]]
    """The `seq` by `src`, without sources whose gaps mean nothing."""
    wrong: int
    """Number of sources that were left out as wrong."""
    has_sparse: bool
    """Whether there are sources whose gaps mean nothing; see `sparse_counts`."""


class SparseCount(NamedTuple):
    """How much is stored of a source whose gaps mean nothing."""

    readings: int
    """Number of readings, duplicates included."""
    duplicates: int
    """Number of readings that repeat another one of their window."""

    def plus(self, more: "SparseCount") -> "SparseCount":
        """Return the sum of both."""
        return SparseCount(self.readings + more.readings, self.duplicates + more.duplicates)


NOTHING: Final = SparseCount(0, 0)


def document_fields(summary: SensorSummary) -> dict[str, float]:
    """Return the fields of a sensor in a document, which people and queries can read."""
    return {
        "count": summary.count,
        "mean": summary.mean,
        "m2": summary.m2,
        "min": summary.min,
        "max": summary.max,
    }


def moments_of(summaries: Iterable[SensorSummary]) -> Moments:
    """Return the merged moments of at least one summary."""
    total: Moments | None = None
    for each in summaries:
        moments = Moments(each.count, each.mean, each.m2, each.min, each.max)
        total = moments if total is None else total.merge(moments)
    if total is None:
        raise ValueError("at least one summary is required")
    return total


def add_sketches(summaries: Iterable[SensorSummary], total: Sketch) -> int:
    """Add the sketches to `total`; return the number of wrong ones, which are left out."""
    wrong = 0
    for each in summaries:
        if not add_sound_sketch(total, each.sketch, each.count):
            wrong += 1
    return wrong


def is_sketch_right(summary: SensorSummary) -> bool:
    """Return whether a summary's sketch holds as many values as the summary."""
    return holds(summary.sketch, summary.count)


def intervals_of(source: Source) -> list[Interval] | None:
    """Return the intervals of `seq` of a source in stored order; None if they are wrong."""
    bounds = source.bounds[:]
    if len(bounds) == _PAIR:  # nearly always
        first, last = bounds
        return [(first, last)] if 0 < first <= last <= MAX_SEQ else None
    if len(bounds) % 2 or not bounds:
        return None
    intervals = pairs(bounds)
    if all(0 < first <= last <= MAX_SEQ for first, last in intervals):
        return intervals
    return None


def sources_of(summary: SensorSummary) -> Identified:
    """Return the sources of a summary with their intervals.

    All of them are wrong if they hold more readings than the summary.
    """
    sources: list[tuple[str, list[Interval]]] = []
    identified = wrong = 0
    has_sparse = False
    for source in summary.sources[:]:
        if source.sparse:
            has_sparse = True
            continue
        intervals = intervals_of(source)
        if intervals is None:
            wrong += 1
            continue
        sources.append((source.src, intervals))
        for first, last in intervals:
            identified += last - first + 1
    if identified > summary.count:
        return Identified([], wrong + len(sources), has_sparse)
    return Identified(sources, wrong, has_sparse)


def sparse_counts(summaries: Iterable[SensorSummary]) -> tuple[dict[str, SparseCount], int]:
    """Count readings and duplicates of sources whose gaps mean nothing.

    Returns them by `src`, and the number of sources that are left out as wrong. The summaries are
    all of one sensor in one window, or the only one of a rollup. A summary's sources are wrong if
    they hold more readings than it.
    """
    intervals: dict[str, list[Interval]] = {}
    counts: dict[str, SparseCount] = {}
    wrong = 0
    for summary in summaries:
        sparse = [source for source in summary.sources[:] if source.sparse]
        found = [(source, None if source.count else intervals_of(source)) for source in sparse]
        right = [(source, some) for source, some in found if some or _is_sound(source)]
        wrong += len(sparse) - len(right)
        if sum(count_seqs(some) if some else one.count for one, some in right) > summary.count:
            wrong += len(right)
            continue
        for source, some in right:
            if some:
                intervals.setdefault(source.src, []).extend(some)
            else:
                one = SparseCount(source.count, source.duplicates)
                counts[source.src] = counts.get(source.src, NOTHING).plus(one)
    for src, some in intervals.items():
        total = count_seqs(some)
        one = SparseCount(total, total - _count_distinct(some))
        counts[src] = counts.get(src, NOTHING).plus(one)
    return counts, wrong


def _is_sound(source: Source) -> bool:
    """Whether the counts of a source in a rollup are possible."""
    return bool(source.count > source.duplicates and not source.bounds)


def _count_distinct(intervals: Iterable[Interval]) -> int:
    """Return the number of different `seq` in some intervals."""
    total = top = 0
    for first, last in sorted(intervals):
        if last > top:
            total += last - max(first - 1, top)
            top = last
    return total


def only_interval(summary: SensorSummary) -> tuple[str, Interval] | None:
    """Return the only source of a summary and its only interval, as nearly all have.

    None if `sources_of` has to check it.
    """
    sources = summary.sources[:]
    if len(sources) != 1 or sources[0].sparse:
        return None
    bounds = sources[0].bounds[:]
    if len(bounds) != _PAIR:
        return None
    first, last = bounds
    if not 0 < first <= last <= MAX_SEQ or last - first >= summary.count:
        return None
    return sources[0].src, (first, last)


def count_seqs(intervals: Sequence[Interval]) -> int:
    """Return the number of `seq` in some intervals; where they overlap, each one counts."""
    return sum(last - first + 1 for first, last in intervals)
