"""Reads and adds up the stored summaries of one sensor, of windows or rollups.

Wrong sketches and intervals are stored all the same, since they affect no other sensor; here they
are left out and counted.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sensorpipe_schema.compacted_reading_pb2 import SensorSummary, Source
from sensorpipe_schema.intervals import Interval
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.partial import add_sound_sketch, holds, pairs
from sensorpipe_schema.reading import MAX_SEQ
from sensorpipe_schema.sketch import Sketch

_PAIR: Final = 2


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


def sources_of(summary: SensorSummary) -> tuple[list[tuple[str, list[Interval]]], int]:
    """Return the sources of a summary with their intervals, and how many were left out as wrong.

    All of them are wrong if they hold more readings than the summary. Those whose gaps mean
    nothing are left out, too: their `seq` tell readings of one window apart, and nothing else.
    """
    sources: list[tuple[str, list[Interval]]] = []
    identified = wrong = 0
    for source in summary.sources[:]:
        if source.sparse:
            continue
        intervals = intervals_of(source)
        if intervals is None:
            wrong += 1
            continue
        sources.append((source.src, intervals))
        for first, last in intervals:
            identified += last - first + 1
    return (sources, wrong) if identified <= summary.count else ([], wrong + len(sources))


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
