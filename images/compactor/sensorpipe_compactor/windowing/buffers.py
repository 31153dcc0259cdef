"""What the compactor keeps in memory: readings in windows, dead letters, messages ahead."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Never

import msgspec
from mqtt5 import PublishPacket
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_schema.intervals import Interval, IntervalSet

_FEW_PORTIONS: Final = 4
"""Portions of a window that are searched one by one."""


class Arrivals(list[Interval]):
    """The `seq` of readings as intervals, in the order in which they came."""

    __slots__ = ()

    def add_range(self, first: int, last: int) -> None:
        """Append the interval `first … last`."""
        if self and self[-1][1] + 1 == first:
            self[-1] = (self[-1][0], last)
        else:
            self.append((first, last))

    def split(self, count: int) -> tuple["Arrivals", "Arrivals"]:
        """Return the first `count` readings, and all others."""
        one, other = Arrivals(), Arrivals()
        for first, last in self:
            end = min(last, first + count - 1)
            if end >= first:
                one.add_range(first, end)
                count -= end - first + 1
            if end < last:
                other.add_range(end + 1, last)
        return one, other


class Portion(msgspec.Struct, gc=False, eq=False):
    """The readings of one sensor and source in one window."""

    sensor: str
    src: str | None
    """None for readings without identity."""
    sparse: bool = False
    """Whether gaps between its `seq` mean nothing."""
    values: list[float] = msgspec.field(default_factory=list)
    first: int = 0
    last: int = 0
    """The `seq` of the readings of its first run, or 0 as long as none has ended."""
    further: Arrivals | None = None
    """Those of further runs, if there are any."""
    unit: str = ""
    """The unit of the values; empty if it is not known."""
    source: "Source | None" = None
    """The source whose run goes on in it, if one does."""

    @property
    def intervals(self) -> Arrivals:
        """The `seq` of the readings, in the order of the values, as far as their run has ended.

        None where they have no identity.
        """
        return Arrivals([(self.first, self.last), *(self.further or ())] if self.last else ())

    def add_range(self, first: int, last: int) -> None:
        """Note that the next values are those of the `seq` from `first` to `last`."""
        if not self.last:
            self.first, self.last = first, last
        elif self.further is not None:
            self.further.add_range(first, last)
        elif first == self.last + 1:
            self.last = last
        else:
            self.further = Arrivals([(first, last)])


class Bucket(msgspec.Struct, gc=False, eq=False):
    """The readings of one sensor in one window, not yet reduced."""

    portions: dict[str | None, Portion]
    """By `src`."""

    @property
    def count(self) -> int:
        """Number of readings held."""
        return sum(len(portion.values) for portion in self.portions.values())

    @property
    def values(self) -> list[float]:
        """The values of all sources."""
        if len(self.portions) == 1:
            (portion,) = self.portions.values()
            return portion.values
        values: list[float] = []
        for portion in self.portions.values():
            values += portion.values
        return values

    @property
    def intervals_by_src(self) -> dict[str, Arrivals]:
        """Which `seq` of which `src` it holds."""
        return {src: portion.intervals for src, portion in self.portions.items() if src is not None}


class Window(msgspec.Struct, gc=False, eq=False):
    """The readings of one facility and one window that came since the last flush."""

    facility: str
    start_ms: int
    end_ms: int
    first_number: int
    """Number of its first message: none from this one on is acknowledged before it is durable."""
    opened_ms: int
    """Time of its first reading, in ms of the monotonic clock."""
    late: bool
    """Whether the window had been closed before: these readings came late."""
    itemized: bool = False
    """Whether it holds readings that may be durable already, each to be written with its `seq`."""
    portions: list[Portion] = msgspec.field(default_factory=list)
    """One for each sensor and source: most windows have few."""
    index: dict[tuple[str, str | None], Portion] | None = None
    """By sensor and source, where there are many."""
    place: int = 0
    """Where it is among all open windows, see `OpenWindows`; -1 if it is handed out."""

    @property
    def count(self) -> int:
        """Number of readings held."""
        count = 0
        for portion in self.portions:
            count += len(portion.values)
        return count

    @property
    def buckets(self) -> dict[str, Bucket]:
        """The readings by sensor."""
        buckets: dict[str, Bucket] = {}
        for portion in self.portions:
            buckets.setdefault(portion.sensor, Bucket({})).portions[portion.src] = portion
        return buckets

    def portion(self, source: "Source") -> Portion:
        """Return the portion of a source, which may be a new one."""
        sensor, src = source.sensor, source.src
        if self.index is not None:
            found = self.index.get((sensor, src))
            if found is not None:
                return found
        else:
            for each in self.portions:
                if each.src == src and each.sensor == sensor:
                    return each
        made = Portion(sensor, src, source.kind is not SeqKind.COUNT)
        self.portions.append(made)
        if self.index is not None:
            self.index[sensor, src] = made
        elif len(self.portions) > _FEW_PORTIONS:
            self.index = {(each.sensor, each.src): each for each in self.portions}
        return made


class Facility(msgspec.Struct, gc=False, eq=False):
    """A facility's event time and open windows, which no other facility's clock affects."""

    name: str
    lateness_ms: int
    """How long its windows wait after their end, in ms."""
    newest_ms: int = 0
    """A `ts` in ms that it has reached. It may be behind within a run, which ends where a window
    is to close."""
    closed_ms: int = 0
    """The end of the latest window closed, in ms of event time."""
    active_ms: int = 0
    """Time of its latest reading, in ms of the monotonic clock."""
    step: int = 0
    """When its windows are looked at next, see `TimingWheel`."""
    source_count: int = 0
    """Number of its sources that are remembered."""
    windows: dict[int, Window] = msgspec.field(default_factory=dict)
    """By start; itemized ones by its complement, `~start`."""


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

    facility: Facility
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
    portion: Portion | None = None
    """Where its run goes on, if one does."""
    horizon_ms: int = 0
    """Readings with an earlier `ts`, in ms, may be durable though `seen` lacks their `seq`."""
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

    def run_in(self, portion: Portion, start: int, end: int, seq: int) -> None:
        """Begin a run with the reading `seq` of a portion; it goes on while `start <= ts < end`."""
        if portion is not self.portion:
            self.stop()
            if portion.source is not None:
                portion.source.stop()  # of another topic, which a Feed gives the same names
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


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that is not a valid reading, with its number and the reason."""

    number: int
    topic: str
    payload: bytes
    reason: str
    detail: str
    feed: str | None = None
    """The Feed that refused the message; None if no Feed takes its topic."""


@dataclass(frozen=True, slots=True)
class AheadMessage:
    """A message whose `ts` is ahead of our clock, as long as either clock may be wrong."""

    number: int
    message: Message
    """The message without its properties."""
    ts: int


def without_properties(message: Message) -> Message:
    """Return a message's topic and payload only: its properties may take as much as its packet."""
    return PublishPacket(message.topic, message.payload)


def memory_bytes(kept: DeadLetter | Message) -> int:
    """Return roughly how many bytes a message takes in memory."""
    return len(kept.payload) + len(kept.topic)
