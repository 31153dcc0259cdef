"""The `seq` numbers stored of one source: what is missing, what is pending, what is there twice.

A reading that arrived before another one of its source may be stored after it, when its window
closes later. So a gap is a loss only once something above it has been stored for longer than
any window is held back; until then it is pending.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple

from sensorpipe_schema.intervals import Interval, IntervalSet

from sensorpipe_server.storage.documents import END_OF_TIME_MS

STORING_SECONDS: Final = 6.0
"""From the close of a window until it is stored, at most, while nothing is broken."""

FUTURE_SECONDS: Final = 300.0
"""A window received later than this after a look began was stored before a clock was set back."""


class Missing(NamedTuple):
    """How many readings of a source are missing below the highest one stored."""

    lost: int
    pending: int
    """They may still be held in an open window."""


class Settling:
    """Says when a stored window proves that what is missing below its `seq` is lost."""

    def __init__(self, lateness_ms: int = 2_000) -> None:
        self._delay_seconds = 2 * lateness_ms / 1000 + STORING_SECONDS

    def settles_at(self, received_at: datetime, length_ms: int, now: float) -> float:
        """Return that time, in unix seconds, for a stored window; `now` is when the look began.

        The reading before the first one of this window may be in a window that had just opened,
        and stays open for its length and the lateness; a silent facility's closes the lateness
        later. A time that is still to come counts as long ago.
        """
        received = received_at.timestamp()
        if received > now + FUTURE_SECONDS:
            return 0.0
        return received + length_ms / 1000 + self._delay_seconds

    def are_settled(self, received_ms: int, length_ms: int, now: float) -> bool:
        """Return whether windows prove it by now, of which the youngest was received then.

        `length_ms` is that of the longest of them.
        """
        settles_at = received_ms / 1000 + length_ms / 1000 + self._delay_seconds
        return settles_at <= now


class SourceSeqs:
    """The stored `seq` of one source: memory by gaps, not by readings."""

    __slots__ = (
        "_intervals",
        "_unsettled_seq",
        "_unsettled_until",
        "began_ms",
        "count",
        "settled_seq",
    )

    def __init__(self) -> None:
        self.count = 0
        """Readings, those that are there twice included."""
        self.settled_seq = 0
        """What is missing below this `seq` is lost."""
        self.began_ms = END_OF_TIME_MS
        """No window of the source starts before this, in unix milliseconds, where it is known."""
        self._intervals = IntervalSet()
        self._unsettled_seq = 0
        self._unsettled_until = 0.0

    def __len__(self) -> int:
        """Return how many intervals are held."""
        return len(self._intervals)

    def add(self, intervals: Sequence[Interval], settles_at: float, now: float) -> int:
        """Add intervals of a window; return how many readings they hold.

        `settles_at` is the window's, `now` when the look began, both in unix seconds.
        """
        added = top = 0
        for first, last in intervals:
            self._intervals.add_range(first, last)
            added += last - first + 1
            top = max(top, last)
        self.count += added
        self._reach(top, settles_at, now)
        return added

    def plus(self, more: "SourceSeqs", now: float) -> "SourceSeqs":
        """Return both together as they are at `now`, in unix seconds; neither changes."""
        total = SourceSeqs()
        total.count = self.count + more.count
        total.began_ms = min(self.began_ms, more.began_ms)
        total._intervals = IntervalSet([*self._intervals, *more._intervals])  # noqa: SLF001  of this class
        for one in (self, more):
            total._reach(one.settled_seq, now, now)
            total._reach(one._unsettled_seq, one._unsettled_until, now)  # noqa: SLF001  likewise
        return total

    @property
    def first(self) -> int:
        """The lowest `seq`."""
        return next(iter(self._intervals))[0]

    @property
    def last(self) -> int:
        """The highest `seq`."""
        return self._intervals.top

    @property
    def duplicates(self) -> int:
        """How many readings are there more than once, each time but the first."""
        return self.count - sum(last - first + 1 for first, last in self._intervals)

    def missing(self, *, from_one: bool = True) -> Missing:
        """Return what is missing up to the last, from 1 or from the first that is there."""
        lost = pending = 0
        for low, high in self._gaps(from_one=from_one):
            if high < self.settled_seq:
                lost += high - low + 1
            else:
                pending += high - low + 1
        return Missing(lost, pending)

    def _gaps(self, *, from_one: bool) -> Iterator[Interval]:
        if from_one and self.first > 1:
            yield 1, self.first - 1
        for (_, last), (first, _) in pairwise(self._intervals):
            yield last + 1, first - 1

    def _reach(self, top: int, settles_at: float, now: float) -> None:
        """Note how high a window reaches: of the young ones, the highest and the youngest."""
        if settles_at <= now:
            self.settled_seq = max(self.settled_seq, top)
        elif top:
            self._unsettled_seq = max(self._unsettled_seq, top)
            self._unsettled_until = max(self._unsettled_until, settles_at)
