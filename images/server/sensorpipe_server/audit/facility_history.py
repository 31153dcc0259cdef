"""Results of the scans of one facility: lost readings, duplicates and its newest window."""

from collections.abc import Iterable
from typing import Final

from sensorpipe_server.storage.fold import Window
from sensorpipe_server.storage.source_seqs import Settling, SourceSeqs
from sensorpipe_server.storage.summaries import sources_of, sparse_counts

HORIZON_MS: Final = 3 * 60_000
"""Milliseconds of event time before a facility's newest window that every scan reads again.

Windows in this time may still change.
"""

MAX_INTERVALS: Final = 20_000
"""Largest number of intervals of `seq` of one facility; a source without gaps has one.

A full scan ends at half of them: older windows are left out, as if the day began later.
"""

Key = tuple[str, str]
"""Sensor and source."""


class SeqsBySource:
    """The `seq` of each source in some windows."""

    def __init__(self) -> None:
        self.sources: dict[Key, SourceSeqs] = {}
        self._repeated = 0
        """Duplicates of sources whose gaps mean nothing; none of their readings is ever lost."""

    def add(self, window: Window, settles_at: float, now: float) -> list[Key]:
        """Add a window and return its sources; see `SourceSeqs.add`."""
        added: list[Key] = []
        for name, summaries in window.sensors.items():
            has_sparse = False
            for summary in summaries:
                found = sources_of(summary)
                has_sparse = has_sparse or found.has_sparse
                for src, intervals in found.sources:
                    key = (name, src)
                    if key not in self.sources:
                        self.sources[key] = SourceSeqs()
                    self.sources[key].add(intervals, settles_at, now)
                    added.append(key)
            if has_sparse:
                counts, _ = sparse_counts(summaries)
                self._repeated += sum(each.duplicates for each in counts.values())
        return added

    @property
    def intervals(self) -> int:
        """Number of intervals of `seq` in memory."""
        return sum(map(len, self.sources.values()))

    @property
    def duplicates(self) -> int:
        """Number of duplicates: each stored copy of a reading except the first."""
        return self._repeated + sum(seqs.duplicates for seqs in self.sources.values())

    def plus(self, more: "SeqsBySource", now: float) -> "SeqsBySource":
        """Return the sum of both as of `now`, in unix seconds; neither changes."""
        total, none = SeqsBySource(), SourceSeqs()
        for key in self.sources.keys() | more.sources.keys():
            one, other = self.sources.get(key, none), more.sources.get(key, none)
            total.sources[key] = one.plus(other, now)
        total._repeated = self._repeated + more._repeated  # noqa: SLF001  of this class
        return total

    def lost(self, began_before: frozenset[Key]) -> int:
        """Return the number of lost readings.

        Sources count from `seq` 1, those in `began_before` from the first one stored.
        """
        return sum(
            seqs.missing(from_one=key not in began_before).lost
            for key, seqs in self.sources.items()
        )


class Scan:
    """Windows read by one scan of a facility, newest first; `now` is its start in unix seconds."""

    def __init__(self, newest_ms: int, settling: Settling, now: float) -> None:
        self.newest_ms = newest_ms
        self.now = now
        self.is_continuous = False
        """Whether the newest window of the previous scan is still stored."""
        self._previous_newest_ms = newest_ms
        self.recent = SeqsBySource()
        self.older = SeqsBySource()
        self.began: dict[Key, int] = {}
        """Start of the oldest window of each source, in unix milliseconds."""
        self._settling = settling

    def add(self, windows: Iterable[Window]) -> None:
        """Add windows."""
        for window in windows:
            start = window.key.start_ms
            self.is_continuous = self.is_continuous or start == self._previous_newest_ms
            self.newest_ms = max(self.newest_ms, start)
            seqs = self.recent if start >= self.boundary_ms else self.older
            settles_at = self._settling.settles_at(
                window.received_at, window.key.length_ms, self.now
            )
            self.began |= dict.fromkeys(seqs.add(window, settles_at, self.now), start)

    @property
    def is_full(self) -> bool:
        """Whether a full scan has read half of MAX_INTERVALS, which ends it."""
        return self.recent.intervals + self.older.intervals > MAX_INTERVALS // 2

    @property
    def boundary_ms(self) -> int:
        """Unix milliseconds from which windows may still change."""
        return self.newest_ms - HORIZON_MS

    @property
    def oldest_ms(self) -> int:
        """Start of the oldest window that has a source, in unix milliseconds."""
        return min(self.began.values(), default=self.newest_ms)

    def without_first(self) -> list[Key]:
        """Return the sources whose reading 1 is in none of the windows."""
        total = self.older.plus(self.recent, self.now)
        return sorted(key for key, seqs in total.sources.items() if seqs.first > 1)


class History:
    """The results of all scans of one facility.

    A scan reads the windows from `boundary_ms` on; those that are older than the horizon by
    then are not read again before the next full scan. Only a full scan raises `lost`, because a
    late reading may be in a window that the other scans do not read.
    """

    def __init__(self, newest_ms: int) -> None:
        self.newest_ms = newest_ms
        """Start of the newest window, in unix milliseconds."""
        self.boundary_ms = newest_ms - HORIZON_MS
        """Start of the windows that the next scan reads, in unix milliseconds."""
        self.lost = 0
        """Number of lost readings, as of the last full scan or fewer."""
        self.duplicates = 0
        """Number of duplicates."""
        self.fully_scanned_at = 0.0
        """Unix seconds of the last full scan; 0 for never."""
        self.scanned_at = 0.0
        """Unix seconds of the last scan."""
        self.needs_full_scan = False
        """Whether more readings than `lost` seem to be lost, or MAX_INTERVALS is exceeded."""
        self.intervals = 0
        """Number of intervals of `seq` in memory."""
        self._settled = SeqsBySource()
        self._began_before: frozenset[Key] = frozenset()

    def add(self, scan: Scan) -> None:
        """Add a scan of the windows from `boundary_ms` on."""
        self._settled = self._settled.plus(scan.older, scan.now)
        lost = self._count(scan)
        self.needs_full_scan = lost > self.lost or self.intervals > MAX_INTERVALS
        self.lost = min(lost, self.lost)

    def replace(self, scan: Scan, began_before: frozenset[Key]) -> None:
        """Replace everything by a full scan.

        Sources in `began_before` began before its oldest window: their missing readings are
        counted from the first one in it.
        """
        self._settled, self._began_before = scan.older, began_before
        self.lost = self._count(scan)
        self.needs_full_scan = False
        self.fully_scanned_at = scan.now

    def _count(self, scan: Scan) -> int:
        """Return the number of lost readings."""
        self.newest_ms, self.boundary_ms = scan.newest_ms, scan.boundary_ms
        total = self._settled.plus(scan.recent, scan.now)
        self.duplicates, self.intervals = total.duplicates, total.intervals
        return total.lost(self._began_before)
