"""What is known of one facility's readings: what is missing, what is there twice, how old."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

from sensorpipe_schema.intervals import Interval, IntervalSet

from sensorpipe_server.documents import Document

HORIZON_MS: Final = 3 * 60_000
"""Of event time before a facility's newest window: what is stored there may yet change."""

MAX_PIECES: Final = 20_000
"""Intervals of one facility, of which each source has one as a rule. A look at everything ends
at half of it: what is older is left out, as if the day began later."""

Key = tuple[str, str]
"""Sensor and source."""


class Ledgers:
    """The `seq` of each source in some windows: memory by gaps, not by readings."""

    def __init__(self) -> None:
        self.held: dict[Key, IntervalSet] = {}
        self.count = 0

    def add(self, document: Document) -> None:
        """Add a window."""
        for name, summary in document["sensors"].items():
            for source in summary["sources"]:
                self._add((name, source["src"]), source["seq"])

    @property
    def pieces(self) -> int:
        """How many intervals are held."""
        return sum(map(len, self.held.values()))

    def plus(self, more: "Ledgers") -> "Ledgers":
        """Return both together; neither changes."""
        total = Ledgers()
        total.count = self.count + more.count
        total.held = self.held.copy()
        for key, held in more.held.items():
            total.held[key] = IntervalSet([*self.held.get(key, ()), *held])
        return total

    @property
    def duplicates(self) -> int:
        """How many readings are held more than once, each time but the first."""
        distinct = sum(last - first + 1 for held in self.held.values() for first, last in held)
        return self.count - distinct

    def gaps(self) -> dict[Key, list[Interval]]:
        """Return what is missing of each source between its first and its last."""
        return {
            key: [(last + 1, first - 1) for (_, last), (first, _) in pairwise(held)]
            for key, held in self.held.items()
            if len(held) > 1
        }

    def _add(self, key: Key, bounds: list[int]) -> None:
        held = self.held.setdefault(key, IntervalSet())
        for first, last in zip(bounds[::2], bounds[1::2], strict=True):
            held.add_range(first, last)
            self.count += last - first + 1


class Look:
    """The windows of one look at a facility, given the newest first."""

    def __init__(self, newest_ms: int) -> None:
        self.newest_ms = newest_ms
        self.recent = Ledgers()
        self.older = Ledgers()

    def add(self, windows: Iterable[Document]) -> None:
        """Add windows."""
        for document in windows:
            start = start_of(document)
            self.newest_ms = max(self.newest_ms, start)
            (self.recent if start >= self.boundary_ms else self.older).add(document)

    @property
    def is_full(self) -> bool:
        """Whether a look at everything has seen as much as there is room for."""
        return self.recent.pieces + self.older.pieces > MAX_PIECES // 2

    @property
    def boundary_ms(self) -> int:
        """Where what may yet change begins."""
        return self.newest_ms - HORIZON_MS


class Trail:
    """What came of the looks at a facility.

    A look takes the windows from `boundary_ms` on; those that are then older than the horizon
    are not read again before a look at everything. Missing is only what two looks in a row
    missed: what was in the midst of being stored in between is stored. And more is said to be
    missing only once a look at everything has said so, for a reading may have come late, into
    a window that is not read any more.
    """

    def __init__(self, newest_ms: int) -> None:
        self.newest_ms = newest_ms
        """Where the newest window starts."""
        self.boundary_ms = newest_ms - HORIZON_MS
        self.lost = 0
        self.duplicates = 0
        self.looked_at_all = 0.0
        """When everything was looked at; 0 for never."""
        self.looked_at = 0.0
        """When the newest window was looked for."""
        self.suspicious = False
        """Whether more seems to be missing than is known, or more is remembered than there is
        room for: a look at everything is due."""
        self.pieces = 0
        """How many intervals are remembered."""
        self._settled = Ledgers()
        self._gaps: dict[Key, list[Interval]] = {}

    def take(self, look: Look) -> None:
        """Take a look at the windows from `boundary_ms` on."""
        self._settled = self._settled.plus(look.older)
        missing = self._missing(look)
        self.suspicious = missing > self.lost or self.pieces > MAX_PIECES
        self.lost = min(missing, self.lost)

    def take_all(self, look: Look, now: float) -> None:
        """Take a look at all windows there are."""
        self._settled = look.older
        self.lost = self._missing(look)
        self.suspicious = False
        self.looked_at_all = now

    def _missing(self, look: Look) -> int:
        """Return how many readings are missing now as they were before."""
        self.newest_ms, self.boundary_ms = look.newest_ms, look.boundary_ms
        total = self._settled.plus(look.recent)
        self.duplicates, self.pieces = total.duplicates, total.pieces
        self._gaps, before = total.gaps(), self._gaps
        return sum(in_both(before.get(key, []), gaps) for key, gaps in self._gaps.items())


def start_of(document: Mapping[str, Any]) -> int:
    """Return where a window starts, in milliseconds, as its `_id` says."""
    return int(document["_id"].split("/")[1])


def in_both(some: list[Interval], others: list[Interval]) -> int:
    """Return how many numbers are in an interval of each of two sorted lists."""
    total = at = here = 0
    while here < len(some) and at < len(others):
        (first, last), (low, high) = some[here], others[at]
        total += max(0, min(last, high) - max(first, low) + 1)
        if last < high:
            here += 1
        else:
            at += 1
    return total
