"""All streams, each of one topic and `src`, in bounded memory."""

from typing import Final

from sensorpipe_compactor.buffers import Stream

MAX_STREAMS: Final = 100_000
"""Default for the largest number of streams remembered; beyond it the one that has been idle
longest is forgotten."""

MAX_INTERVALS: Final = 4_096
"""Largest number of intervals of `seq` remembered of one stream; beyond it the lower half is
forgotten."""


class Streams:
    """All streams, by topic and `src`, in bounded memory.

    What is forgotten may be sent again: readings that are no newer become uncertain.
    """

    def __init__(self, max_streams: int = MAX_STREAMS, max_intervals: int = MAX_INTERVALS) -> None:
        self.by_topic: dict[str, dict[str | None, Stream]] = {}
        self.forgotten = 0
        """Intervals and streams given up for memory."""
        self.line_ms = 0
        """A reading of a new stream with an earlier `ts` may have been forgotten."""
        self.floor_ms = 0
        """A reading of any stream with an earlier `ts` may be durable already."""
        self._order: dict[tuple[str, str | None], None] = {}
        self._max_streams = max_streams
        self._max_intervals = max_intervals

    def __len__(self) -> int:
        return len(self._order)

    def add(self, topic: str, stream: Stream) -> Stream | None:
        """Remember a new stream; return the oldest one if that had to be forgotten for it."""
        stream.line_ms = self.line_ms
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
        if old_src is not None:
            self.line_ms = max(self.line_ms, old.until_ms)
        self.forgotten += 1
        return old

    def move_floor(self, floor_ms: int) -> None:
        """Set `floor_ms`; where that rises, runs are ended that would cross it."""
        if floor_ms > self.floor_ms:
            for streams in self.by_topic.values():
                for stream in streams.values():
                    stream.stop()
        self.floor_ms = floor_ms

    def touch(self, topic: str, stream: Stream) -> None:
        """Take note that a stream goes on."""
        self._order[topic, stream.src] = self._order.pop((topic, stream.src))

    def bound(self, stream: Stream) -> None:
        """Forget the lower half of the intervals of a stream that has too many."""
        if len(stream.seen) > self._max_intervals:
            count = len(stream.seen) - self._max_intervals // 2
            stream.seen.forget_lowest(count)
            stream.line_ms = max(stream.line_ms, stream.until_ms)
            self.forgotten += count
