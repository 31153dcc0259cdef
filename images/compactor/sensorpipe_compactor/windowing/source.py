"""The readings of one publisher's run in one topic: what of them is known, and where they go."""

from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Never

import msgspec
from sensorpipe_schema.intervals import IntervalSet

if TYPE_CHECKING:
    from sensorpipe_compactor.windowing.buffers import Facility, Portion


class SeqKind(Enum):
    """What the `seq` of a source are."""

    COUNT = auto()
    """1, 2, 3 … without gaps."""
    SPARSE = auto()
    """Ascending numbers with gaps that mean nothing."""
    TIME = auto()
    """The `ts` of each reading."""


class _Nowhere(list[float]):
    """Where a source without a run would put values; its `start` and `end` let none through."""

    def append(self, value: float) -> Never:
        raise AssertionError(f"the reading {value} has no window")


_NOWHERE: Final = _Nowhere()


_NO_OTHERS: Final[dict[str | None, "Source"]] = {}


class Source(msgspec.Struct, gc=False, eq=False):
    """The readings of one publisher's run in one topic.

    While they come in order and fall into one window, a reading costs the hot path four
    comparisons and an `append`: the run `first … next - 1` is written down as one interval when
    it ends. A source without identity (`src` is None) has `step` 0 and takes every reading as
    new.

    There may be hundreds of thousands: that is why this and what it refers to are structs that
    the garbage collector does not visit. What refers to each other is taken apart by `stop` and
    `Sources`.
    """

    facility: "Facility"
    topic: str
    sensor: str
    src: str | None
    kind: SeqKind = SeqKind.COUNT
    step: int = 1
    since: int = 0
    next: int = 0
    """The `seq` from `since` to `next - 1` were taken: the highest, without a gap."""
    earlier: IntervalSet | None = None
    """Those that were taken before a gap, if there is one."""
    first: int = 0
    """The `seq` with which the run began, or goes on behind what is written down of it."""
    start: int = 0
    end: int = 0
    """The run goes on with readings of `start <= ts < end`."""
    values: list[float] = msgspec.field(default_factory=lambda: _NOWHERE)
    """Where the run puts its values: those of its portion."""
    portion: "Portion | None" = None
    """Where its run goes on, if one does."""
    horizon_ms: int = 0
    """Readings with an earlier `ts`, in ms, may be durable though their `seq` is not known."""
    until_ms: int = 0
    """The end of its newest window, in ms of event time."""
    others: dict[str | None, "Source"] = msgspec.field(default_factory=lambda: _NO_OTHERS)
    """Of the first source of a topic: the others, by `src`."""
    bytes: int = 0
    """Bytes that it was last counted with, see `Sources`."""
    used_ms: int = 0
    """The event time in ms from which on its use is noted again."""
    before: "Source | None" = None
    """The source whose use was noted before."""
    after: "Source | None" = None
    """The one whose use was noted after."""

    def run_in(self, portion: "Portion", start: int, end: int, seq: int) -> None:
        """Begin a run with the reading `seq` of a portion; it goes on while `start <= ts < end`."""
        if portion is not self.portion:
            self.stop()
            self.portion, portion.source = portion, self
            self.values = portion.values
        else:
            self.settle()
        self.start, self.end = start, end
        if seq != self.next:
            self.leave_gap(seq)
        self.first, self.next = seq, seq + self.step

    def settle(self) -> None:
        """Write the run down in its portion."""
        if self.portion is not None and self.next > self.first:
            self.portion.add_range(self.first, self.next - 1)
            self.first = self.next

    def stop(self) -> None:
        """End the run."""
        portion = self.portion
        if portion is not None:
            self.settle()
            portion.source = self.portion = None
            self.values = _NOWHERE
            self.start = self.end = 0

    @property
    def intervals(self) -> int:
        """In how many intervals the `seq` lie that were taken."""
        return 1 + (len(self.earlier) if self.earlier is not None else 0)

    def has(self, seq: int) -> bool:
        """Whether this `seq` was taken, as far as is remembered."""
        if self.since <= seq < self.next:
            return True
        return self.earlier is not None and seq in self.earlier

    def leave_gap(self, seq: int) -> None:
        """Go on at a higher `seq` than the one that follows."""
        if self.next:
            if self.earlier is None:
                self.earlier = IntervalSet()
            self.earlier.add_range(self.since, self.next - 1)
        self.since = self.first = self.next = seq

    def fill(self, seq: int) -> None:
        """Take a `seq` that is missing before the highest one."""
        if self.earlier is None:
            self.earlier = IntervalSet()
        self.earlier.add_range(seq, seq)
        if self.earlier.top == self.since - 1:
            self.since = self.earlier.remove_top()
            self.earlier = self.earlier or None
