"""All sources, each of one topic and `src`, in bounded memory."""

from typing import Final

from sensorpipe_compactor.windowing.linked_list import LinkedList
from sensorpipe_compactor.windowing.source import SeqKind, Source

DEFAULT_BYTES: Final = 288 * 1024 * 1024
"""Default for the bytes that sources may take; beyond them the one that has been idle longest is
forgotten."""

LEAST_BYTES: Final = 1_024
"""Least that the setting for it may be: a single source."""

SOURCE_BYTES: Final = 880
"""Bytes that a source takes beside its names, with one interval and a share of its facility."""

INTERVAL_BYTES: Final = 80
"""Bytes that each further interval of `seq` takes: two numbers, and their places in a list."""

_NOTED_EVERY_MS: Final = 60_000
"""Milliseconds of event time after which the use of a source is noted again."""

MAX_INTERVALS: Final = 4_096
"""Largest number of intervals of `seq` remembered of one source; beyond it the lower half is
forgotten."""


MAX_SPARSE: Final = 64
"""The same for a source whose `seq` have gaps that mean nothing: nearly each takes an interval."""


class Sources:
    """All sources, by topic and `src`, in bounded memory.

    What is forgotten may be sent again: readings that are no newer become uncertain.
    """

    def __init__(self, max_bytes: int = DEFAULT_BYTES, max_intervals: int = MAX_INTERVALS) -> None:
        self.by_topic: dict[str, Source] = {}
        """The first source of each topic, which has the others."""
        self.bytes = 0
        """Bytes that they take, about."""
        self.max_bytes = max_bytes
        self.forgotten = 0
        """Number of sources, and of intervals, forgotten because there were too many."""
        self.new_source_horizon_ms = 0
        """A reading of a new source with an earlier `ts` may have been forgotten."""
        self.horizon_ms = 0
        """A reading of any source with an earlier `ts` may be durable already."""
        self._count = 0
        self._by_use: LinkedList[Source] = LinkedList()
        self._max_intervals = max_intervals

    def __len__(self) -> int:
        return self._count

    def find(self, topic: str, src: str | None) -> Source | None:
        """Return a source that is remembered."""
        first = self.by_topic.get(topic)
        if first is None or first.src == src:
            return first
        return first.others.get(src)

    def add(self, source: Source) -> None:
        """Remember a new source."""
        source.horizon_ms = self.new_source_horizon_ms
        first = self.by_topic.setdefault(source.topic, source)
        if first is not source:
            if not first.others:
                first.others = {}  # of its own, not the one that all without others share
            first.others[source.src] = source
        self._by_use.append(source)
        self._count += 1
        self._recount(source)

    def excess(self) -> Source | None:
        """Forget the source that has been idle longest if they take too much; return it."""
        old = self._by_use.first
        if self.bytes <= self.max_bytes or old is None or old is self._by_use.last:
            return None
        self._remove(old)
        old.stop()
        if old.src is not None:
            self.new_source_horizon_ms = max(self.new_source_horizon_ms, old.until_ms)
        self.forgotten += 1
        return old

    def move_horizon(self, horizon_ms: int) -> None:
        """Set `horizon_ms`; where that rises, runs are ended that would cross it."""
        if horizon_ms > self.horizon_ms:
            for source in self._by_use:
                source.stop()
        self.horizon_ms = horizon_ms

    def note_use(self, source: Source, end_ms: int) -> None:
        """Take note that a source has a reading in a window that ends then; once a minute."""
        source.used_ms = end_ms + _NOTED_EVERY_MS
        if source.after is not None:
            self._by_use.remove(source)
            self._by_use.append(source)

    def bound(self, source: Source) -> None:
        """Forget the lower half of the intervals of a source that has too many.

        Readings that are no newer than those become uncertain, also where only their `seq` tell.
        """
        most = self._max_intervals if source.kind is SeqKind.COUNT else MAX_SPARSE
        if source.earlier is not None and source.intervals > most:
            count = source.intervals - most // 2
            forgotten = source.earlier.forget_lowest(count)
            source.earlier = source.earlier or None
            horizon_ms = forgotten + 1 if source.kind is SeqKind.TIME else source.until_ms
            source.horizon_ms = max(source.horizon_ms, horizon_ms)
            if source.kind is SeqKind.COUNT:
                self.forgotten += count
        self._recount(source)

    def _recount(self, source: Source) -> None:
        names = len(source.topic) + len(source.src or "")
        now = SOURCE_BYTES + names + INTERVAL_BYTES * (source.intervals - 1)
        self.bytes += now - source.bytes
        source.bytes = now

    def _remove(self, source: Source) -> None:
        self._by_use.remove(source)
        self._count -= 1
        self.bytes -= source.bytes
        first = self.by_topic[source.topic]
        if first is not source:
            del first.others[source.src]
        elif first.others:
            (src, second), *_ = first.others.items()
            del first.others[src]
            second.others = first.others
            self.by_topic[source.topic] = second
        else:
            del self.by_topic[source.topic]
