"""The `seq` numbers stored of one source: which are missing, pending or duplicate.

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
"""Longest time in seconds from the close of a window until it is stored, without a fault."""

FUTURE_SECONDS: Final = 300.0
"""Seconds into the future from which `received_at` shows that a clock was set back since."""


class Missing(NamedTuple):
    """How many readings of a source are missing below the highest one stored."""

    lost: int
    pending: int
    """Readings that may still be in an open window."""


class Settling:
    """Says when a stored window proves that what is missing below its `seq` is lost."""

    def __init__(self, lateness_ms: int = 2_000) -> None:
        self._lateness_ms = lateness_ms
        self._delay_seconds = 2 * lateness_ms / 1000 + STORING_SECONDS

    def is_complete(self, end_ms: int, now_ms: int) -> bool:
        """Whether only late readings can still change a window with this end, in unix milliseconds.

        Until the lateness has passed after it, the window may be open: what is stored may be a
        part of it.
        """
        return end_ms <= self.complete_ms(now_ms)

    def complete_ms(self, now_ms: int) -> int:
        """Return the latest end of complete windows at a time, both in unix milliseconds."""
        return now_ms - self._lateness_ms

    def settles_at(self, received_at: datetime, length_ms: int, now: float) -> float:
        """Return that time, in unix seconds, for a stored window; `now` is the start of the query.

        The reading before the first one of this window may be in a window that had just opened,
        and stays open for its length and the lateness; that of a silent facility closes later by
        another lateness. A time more than FUTURE_SECONDS ahead counts as long ago.
        """
        received = received_at.timestamp()
        if received > now + FUTURE_SECONDS:
            return 0.0
        return received + length_ms / 1000 + self._delay_seconds

    def are_settled(self, received_ms: int, length_ms: int, now: float) -> bool:
        """Return whether windows prove it by now, the youngest of them received at `received_ms`.

        `length_ms` is the length of the longest one.
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
        """Number of stored readings, duplicates included."""
        self.settled_seq = 0
        """The `seq` below which missing readings are lost."""
        self.began_ms = END_OF_TIME_MS
        """No window of the source starts before this, in unix milliseconds, if that is known."""
        self._intervals = IntervalSet()
        self._unsettled_seq = 0
        self._unsettled_until = 0.0

    def __len__(self) -> int:
        """Return the number of intervals in memory."""
        return len(self._intervals)

    def add(self, intervals: Sequence[Interval], settles_at: float, now: float) -> int:
        """Add intervals of a window; return the number of readings in them.

        `settles_at` is the time of the window, `now` the start of the query, in unix seconds.
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
        """Return the sum of both as of `now`, in unix seconds; neither changes."""
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
        """The lowest `seq` stored."""
        return next(iter(self._intervals))[0]

    @property
    def last(self) -> int:
        """The highest `seq` stored."""
        return self._intervals.top

    @property
    def duplicates(self) -> int:
        """Number of duplicates: each stored copy of a reading except the first."""
        return self.count - sum(last - first + 1 for first, last in self._intervals)

    def missing(self, *, from_one: bool = True) -> Missing:
        """Return how many readings are missing before the last, from `seq` 1 or the first one."""
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
        """Note the highest `seq` of a window, and when the last unsettled window settles."""
        if settles_at <= now:
            self.settled_seq = max(self.settled_seq, top)
        elif top:
            self._unsettled_seq = max(self._unsettled_seq, top)
            self._unsettled_until = max(self._unsettled_until, settles_at)
