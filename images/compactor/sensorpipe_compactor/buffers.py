"""What the compactor keeps in memory: readings in windows, dead letters, messages ahead."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from mqtt5 import PublishPacket
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_schema.intervals import Interval, IntervalSet


class Arrivals:
    """The `seq` of readings as intervals, in the order in which they came."""

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        self._intervals = list(intervals)

    def __iter__(self) -> Iterator[Interval]:
        return iter(self._intervals)

    def __len__(self) -> int:
        """Return the number of intervals, not of readings."""
        return len(self._intervals)

    def add_range(self, first: int, last: int) -> None:
        """Append the interval `first … last`."""
        if self._intervals and self._intervals[-1][1] + 1 == first:
            self._intervals[-1] = (self._intervals[-1][0], last)
        else:
            self._intervals.append((first, last))

    def split(self, count: int) -> tuple["Arrivals", "Arrivals"]:
        """Return the first `count` readings, and all others."""
        one, other = Arrivals(), Arrivals()
        for first, last in self._intervals:
            end = min(last, first + count - 1)
            if end >= first:
                one.add_range(first, end)
                count -= end - first + 1
            if end < last:
                other.add_range(end + 1, last)
        return one, other


@dataclass(slots=True)
class Portion:
    """The readings of one source in a bucket, so that a bucket can be divided by sources."""

    values: list[float] = field(default_factory=list)
    intervals: Arrivals = field(default_factory=Arrivals)
    """The `seq` of the readings, in the order of the values; none where they have no identity."""
    sparse: bool = False
    """Whether gaps between its `seq` mean nothing."""


@dataclass(slots=True)
class Bucket:
    """The readings of one sensor in one window, not yet reduced."""

    portions: dict[str | None, Portion] = field(default_factory=dict)
    """By `src`; None for readings without identity."""
    running: set["Source"] = field(default_factory=set)
    """Sources whose next readings go to it without further checks."""
    unit: str = ""
    """The unit of the values, as the newest source names it; empty if none does."""

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

    @property
    def values_by_src(self) -> dict[str, list[float]]:
        """The values of each source that has an identity."""
        return {src: portion.values for src, portion in self.portions.items() if src is not None}

    @property
    def sparse(self) -> list[str]:
        """The `src` whose `seq` do not count without gaps."""
        return [src for src, one in self.portions.items() if one.sparse and src is not None]

    def portion(self, src: str | None, *, sparse: bool = False) -> Portion:
        """Return the portion of a source, which may be a new one."""
        found = self.portions.get(src)
        if found is None:
            found = self.portions[src] = Portion(sparse=sparse)
        return found


@dataclass(slots=True)
class Window:
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
    buckets: dict[str, Bucket] = field(default_factory=dict)
    """By sensor."""

    @property
    def count(self) -> int:
        """Number of readings held."""
        return sum(bucket.count for bucket in self.buckets.values())


@dataclass(slots=True)
class Facility:
    """A facility's event time and open windows, which no other facility's clock affects."""

    name: str
    newest_ms: int = 0
    """The highest `ts` seen, in ms."""
    closed_ms: int = 0
    """The end of the latest window closed, in ms of event time."""
    active_ms: int = 0
    """Time of the flush that found its latest reading, in ms of the monotonic clock."""
    is_active: bool = False
    """Whether a reading came since the last flush."""
    source_count: int = 0
    """Number of its sources that are remembered."""
    windows: dict[int, Window] = field(default_factory=dict)
    """By start; itemized ones by its complement, `~start`."""


class SeqKind(Enum):
    """What the `seq` of a source are."""

    COUNT = auto()
    """1, 2, 3 … without gaps."""
    SPARSE = auto()
    """Ascending numbers with gaps that mean nothing."""
    TIME = auto()
    """The `ts` of each reading."""


class Source:
    """The readings of one publisher's run in one topic.

    While they come in order and fall into one window, a reading costs the hot
    path four comparisons and an `append`: the run `first … next - 1` since the
    last detour is written down as one interval when the run ends.
    A source without identity (`src` is None) has `step` 0 and takes every
    reading as new.
    """

    __slots__ = (
        "append", "bucket", "end", "facility", "first", "horizon_ms", "kind", "next",
        "portion", "seen", "sensor", "src", "start", "step", "until_ms",
    )  # fmt: skip

    def __init__(
        self, facility: Facility, sensor: str, src: str | None, kind: SeqKind = SeqKind.COUNT
    ) -> None:
        self.kind = kind
        self.facility = facility
        self.sensor = sensor
        self.src = src
        self.seen = IntervalSet()
        self.step = 1 if src is not None else 0
        self.next = 0
        self.first = 0
        self.start = 0
        self.end = 0
        self.horizon_ms = 0
        """Readings with an earlier `ts`, in ms, may be durable though `seen` lacks their `seq`."""
        self.until_ms = 0
        """The end of its newest window, in ms of event time."""
        self.bucket: Bucket | None = None
        self.portion: Portion | None = None
        self.append: Callable[[float], None] = _nowhere

    def run_in(self, bucket: Bucket, portion: Portion, start: int, end: int, seq: int) -> None:
        """Begin a run at `seq` that goes to a portion of `bucket` while `start <= ts < end`."""
        self.bucket, self.portion = bucket, portion
        self.append = portion.values.append
        self.start, self.end = start, end
        self.first = self.next = seq
        bucket.running.add(self)

    def settle(self) -> None:
        """Write the run down, in the set of what was seen and in its bucket."""
        if self.portion is not None and self.next > self.first:
            self.portion.intervals.add_range(self.first, self.next - 1)
            self.seen.add_range(self.first, self.next - 1)
            self.first = self.next

    def stop(self) -> None:
        """End the run."""
        self.settle()
        self.bucket = self.portion = None
        self.append = _nowhere
        self.start = self.end = 0


def _nowhere(value: float) -> None:
    raise AssertionError(f"the reading {value} has no window")


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
