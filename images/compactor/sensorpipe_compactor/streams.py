"""Who has sent what: one stream per topic and `src`, with the set of `seq` already taken."""

from typing import TYPE_CHECKING, Final

from sensorpipe_schema.intervals import Interval, IntervalSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from sensorpipe_compactor.windows import Bucket, Facility

MAX_STREAMS: Final = 100_000
"""Streams remembered; beyond it the one longest without a run is forgotten, and counted."""

MAX_INTERVALS: Final = 4_096
"""Intervals remembered of one stream; beyond it the lowest is forgotten, and counted."""


class Stream:
    """The readings of one publisher's run in one topic.

    While they come in order and fall into one window, a reading costs the hot
    path four comparisons and an `append`: the run `first … next - 1` since the
    last detour is written down as one interval when the run ends.
    A stream without identity (`src` is None) has `step` 0 and takes every
    reading as new.
    """

    __slots__ = (
        "append", "bucket", "end", "facility", "first", "next",
        "seen", "sensor", "src", "start", "step",
    )  # fmt: skip

    def __init__(self, facility: "Facility", sensor: str, src: str | None) -> None:
        self.facility = facility
        self.sensor = sensor
        self.src = src
        self.seen = IntervalSet()
        self.step = 1 if src is not None else 0
        self.next = 0
        self.first = 0
        self.start = 0
        self.end = 0
        self.bucket: Bucket | None = None
        self.append: Callable[[float], None] = _nowhere

    def run_in(self, bucket: "Bucket", start: int, end: int, seq: int) -> None:
        """Begin a run at `seq` that goes to `bucket` while `start <= ts < end`."""
        self.bucket = bucket
        self.append = bucket.values.append
        self.start, self.end = start, end
        self.first = self.next = seq
        bucket.streams.add(self)

    def settle(self) -> None:
        """Write the run down, in the set of what was seen and in its bucket."""
        if self.bucket is not None and self.next > self.first:
            self.bucket.intervals(self.src).add_range(self.first, self.next - 1)
            self.seen.add_range(self.first, self.next - 1)
            self.first = self.next

    def stop(self) -> None:
        """End the run."""
        self.settle()
        self.bucket = None
        self.append = _nowhere
        self.start = self.end = 0


class Streams:
    """All streams, by topic and `src`, in bounded memory."""

    def __init__(self, max_streams: int = MAX_STREAMS, max_intervals: int = MAX_INTERVALS) -> None:
        self.by_topic: dict[str, dict[str | None, Stream]] = {}
        self.forgotten = 0
        """Intervals and streams given up for memory: their readings would count again."""
        self._order: dict[tuple[str, str | None], None] = {}
        self._max_streams = max_streams
        self._max_intervals = max_intervals

    def __len__(self) -> int:
        return len(self._order)

    def add(self, topic: str, stream: Stream) -> Stream | None:
        """Remember a new stream; return the oldest one if that had to be forgotten for it."""
        self.by_topic.setdefault(topic, {})[stream.src] = stream
        self._order[topic, stream.src] = None
        if len(self._order) <= self._max_streams:
            return None
        old_topic, old_src = next(iter(self._order))
        del self._order[old_topic, old_src]
        old = self.by_topic[old_topic].pop(old_src)
        if not self.by_topic[old_topic]:
            del self.by_topic[old_topic]
        old.stop()
        self.forgotten += 1
        return old

    def touch(self, topic: str, stream: Stream) -> None:
        """Take note that a stream goes on."""
        self._order[topic, stream.src] = self._order.pop((topic, stream.src))

    def bound(self, stream: Stream) -> None:
        """Forget the lowest intervals of a stream that has too many."""
        while len(stream.seen) > self._max_intervals:
            stream.seen.forget_lowest()
            self.forgotten += 1

    def restore(self, stream: Stream, intervals: list[Interval]) -> None:
        """Add what is durable already, as found in Kafka after a start."""
        for first, last in intervals:
            stream.seen.add_range(first, last)
        self.bound(stream)


def _nowhere(value: float) -> None:
    raise AssertionError(f"the reading {value} has no window")
