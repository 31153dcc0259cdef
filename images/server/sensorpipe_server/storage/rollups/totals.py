"""Adds up windows and rollups: pure, exact, and independent of grouping except for rounding.

Counts, minima, maxima, sketches and the multiset of `seq` of each source do not depend on how
windows were grouped before; mean and m2 only within rounding. Of a source whose gaps mean nothing
only the numbers of its readings and duplicates are kept: nearly each `seq` would be an interval.
"""

from collections.abc import Collection, Iterable
from itertools import pairwise

from sensorpipe_schema.compacted_reading_pb2 import Rollup, SensorSummary
from sensorpipe_schema.intervals import Interval, join
from sensorpipe_schema.moments import Moments, merged
from sensorpipe_schema.partial import Summary, add_sketch, fill_summary
from sensorpipe_schema.sketch import Sketch

from sensorpipe_server.storage.documents import unix_ms
from sensorpipe_server.storage.fold import Window
from sensorpipe_server.storage.summaries import (
    NOTHING,
    SparseCount,
    add_sketches,
    only_interval,
    sources_of,
    sparse_counts,
)


class SensorTotal:
    """All readings of one sensor in some windows."""

    __slots__ = ("_high", "_low", "_moments", "_sources", "_sparse", "sketch", "windows")

    def __init__(self) -> None:
        self._moments = (0, 0.0, 0.0)
        self._low = self._high = 0.0
        self._sources: dict[str, list[Interval]] = {}
        self._sparse: dict[str, SparseCount] = {}
        self.sketch = Sketch()
        self.windows = 0
        """Number of windows that have the sensor."""

    @property
    def moments(self) -> Moments:
        """Count, mean, m2, minimum and maximum of at least one summary."""
        return Moments(*self._moments, self._low, self._high)

    def sources(self) -> dict[str, list[Interval]]:
        """Return the intervals of `seq` by `src`, sorted, in the form of `multiset`."""
        return {src: multiset(some) for src, some in sorted(self._sources.items())}

    def sparse(self) -> dict[str, SparseCount]:
        """Return how much there is by `src` of the sources whose gaps mean nothing."""
        return dict(sorted(self._sparse.items()))

    def add_moments(self, summary: SensorSummary) -> None:
        """Add count, mean, m2, minimum and maximum."""
        more = (summary.count, summary.mean, summary.m2)
        low, high = summary.min, summary.max
        if not self._moments[0]:
            self._moments, self._low, self._high = more, low, high
            return
        self._moments = merged(self._moments, more)
        self._low, self._high = min(self._low, low), max(self._high, high)

    def add_interval(self, src: str, interval: Interval) -> int:
        """Add the `seq` of an interval of a source; return how many entries it took, 0 or 1."""
        before = self._sources.get(src)
        if before is None:
            self._sources[src] = [interval]
            return 1
        first, last = before[-1]
        if last + 1 == interval[0]:  # nearly always
            before[-1] = (first, interval[1])
            return 0
        before.append(interval)
        return 1

    def add_sparse(self, src: str, more: SparseCount) -> int:
        """Add a source whose gaps mean nothing; return how many entries it took, 0 or 1."""
        before = self._sparse.get(src)
        self._sparse[src] = (before or NOTHING).plus(more)
        return before is None


class Total:
    """All readings of some windows, by sensor.

    With `chosen` only these sensors are added. With `sources=False` no `seq` are added, with
    `sparse=False` no sources whose gaps mean nothing, and with `sketches=False` no sketches.
    """

    __slots__ = (
        "_chosen",
        "_with_sketches",
        "_with_sources",
        "_with_sparse",
        "entries",
        "received_ms",
        "sensors",
        "unreadable",
        "windows",
    )

    def __init__(
        self,
        chosen: Collection[str] | None = None,
        *,
        sources: bool = True,
        sparse: bool = True,
        sketches: bool = True,
    ) -> None:
        self._chosen = chosen
        self._with_sources = sources
        self._with_sparse = sparse
        self._with_sketches = sketches
        self.windows = 0
        """Number of windows with a reading of any sensor."""
        self.received_ms = 0
        """When the youngest partial of them was stored, in unix milliseconds."""
        self.sensors: dict[str, SensorTotal] = {}
        self.unreadable = 0
        """Documents and, as far as they are asked for, sketches and intervals that were wrong."""
        self.entries = 0
        """Number of intervals of `seq` in memory, not yet joined; each takes some 200 bytes."""

    @property
    def holds_anything(self) -> bool:
        """Whether there is any window, or anything that could not be read."""
        return bool(self.windows or self.unreadable)

    def add_window(self, window: Window) -> None:
        """Add a folded window."""
        self.windows += 1
        self.unreadable += window.unreadable
        self.received_ms = max(self.received_ms, unix_ms(window.received_at))
        for name, summaries in window.sensors.items():
            if self._chosen is None or name in self._chosen:
                total = self._of(name)
                total.windows += 1
                has_sparse = False
                for summary in summaries:
                    has_sparse = self._add(total, summary) or has_sparse
                if has_sparse:
                    self._add_sparse(total, summaries)
                if self._with_sketches:
                    self.unreadable += add_sketches(summaries, total.sketch)

    def add_rollup(self, rollup: Rollup) -> None:
        """Add a rollup; its sketches do not contain the wrong sketches of its windows."""
        self.windows += rollup.windows
        self.unreadable += rollup.unreadable
        self.received_ms = max(self.received_ms, rollup.received_ms)
        for entry in rollup.sensors:
            summary = entry.summary
            if self._chosen is None or summary.sensor in self._chosen:
                total = self._of(summary.sensor)
                total.windows += entry.windows
                if self._add(total, summary):
                    self._add_sparse(total, [summary])
                if self._with_sketches:
                    add_sketch(total.sketch, summary.sketch)

    def rollup(self) -> Rollup:
        """Return the total as a message, with the sensors sorted by name."""
        message = Rollup(
            windows=self.windows, received_ms=self.received_ms, unreadable=self.unreadable
        )
        for name, total in sorted(self.sensors.items()):
            entry = message.sensors.add(windows=total.windows)
            fill_summary(entry.summary, name, Summary(total.moments, total.sketch, total.sources()))
            for src, (readings, duplicates) in total.sparse().items():
                entry.summary.sources.add(
                    src=src, sparse=True, count=readings, duplicates=duplicates
                )
        return message

    def _of(self, name: str) -> SensorTotal:
        total = self.sensors.get(name)
        if total is None:
            total = self.sensors[name] = SensorTotal()
        return total

    def _add(self, total: SensorTotal, summary: SensorSummary) -> bool:
        """Add a summary without its sparse sources; return whether it has any to be added."""
        total.add_moments(summary)
        if not self._with_sources:
            return False
        only = only_interval(summary)
        if only is not None:
            self.entries += total.add_interval(*only)
            return False
        sources, wrong, has_sparse = sources_of(summary)
        self.unreadable += wrong
        for src, intervals in sources:
            for interval in intervals:
                self.entries += total.add_interval(src, interval)
        return has_sparse and self._with_sparse

    def _add_sparse(self, total: SensorTotal, summaries: Iterable[SensorSummary]) -> None:
        counts, wrong = sparse_counts(summaries)
        self.unreadable += wrong
        for src, each in counts.items():
            self.entries += total.add_sparse(src, each)


def rollup_of_windows(windows: Iterable[Window]) -> Rollup:
    """Return the rollup of folded windows."""
    total = Total()
    for window in windows:
        total.add_window(window)
    return total.rollup()


def multiset(intervals: Iterable[Interval]) -> list[Interval]:
    """Return intervals in canonical form: lists of the same multiset become equal.

    Both bounds ascend. Adjacent intervals are joined, and a number that occurs twice is in two
    intervals.
    """
    joined = join(intervals)
    if all(before[1] < after[0] for before, after in pairwise(joined)):
        return joined
    # how often each number is held changes at these alone: where one begins as another ends,
    # nothing changes
    firsts: list[int] = []
    ends: list[int] = []
    steps: dict[int, int] = {}
    for first, last in joined:
        steps[first] = steps.get(first, 0) + 1
        steps[last + 1] = steps.get(last + 1, 0) - 1
    for number, step in sorted(steps.items()):
        firsts += [number] * step
        ends += [number - 1] * -step
    return list(zip(firsts, ends, strict=True))
