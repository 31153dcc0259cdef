"""All sources, each of one topic and `src`, in bounded memory."""

from typing import Final

from sensorpipe_compactor.buffers import SeqKind, Source

DEFAULT_SOURCES: Final = 100_000
"""Default for the largest number of sources remembered; beyond it the one that has been idle
longest is forgotten."""

MAX_INTERVALS: Final = 4_096
"""Largest number of intervals of `seq` remembered of one source; beyond it the lower half is
forgotten."""


MAX_SPARSE: Final = 64
"""The same for a source whose `seq` have gaps that mean nothing: nearly each takes an interval."""


class Sources:
    """All sources, by topic and `src`, in bounded memory.

    What is forgotten may be sent again: readings that are no newer become uncertain.
    """

    def __init__(
        self, max_sources: int = DEFAULT_SOURCES, max_intervals: int = MAX_INTERVALS
    ) -> None:
        self.by_topic: dict[str, dict[str | None, Source]] = {}
        self.forgotten = 0
        """Number of sources, and of intervals, forgotten because there were too many."""
        self.new_source_horizon_ms = 0
        """A reading of a new source with an earlier `ts` may have been forgotten."""
        self.horizon_ms = 0
        """A reading of any source with an earlier `ts` may be durable already."""
        self._order: dict[tuple[str, str | None], None] = {}
        self._max_sources = max_sources
        self._max_intervals = max_intervals

    def __len__(self) -> int:
        return len(self._order)

    def add(self, topic: str, source: Source) -> Source | None:
        """Remember a new source; return the oldest one if that had to be forgotten for it."""
        source.horizon_ms = self.new_source_horizon_ms
        self.by_topic.setdefault(topic, {})[source.src] = source
        self._order[topic, source.src] = None
        if len(self._order) <= self._max_sources:
            return None
        old_topic, old_src = next(iter(self._order))
        del self._order[old_topic, old_src]
        old = self.by_topic[old_topic].pop(old_src)
        if not self.by_topic[old_topic]:
            del self.by_topic[old_topic]
        old.stop()
        if old_src is not None:
            self.new_source_horizon_ms = max(self.new_source_horizon_ms, old.until_ms)
        self.forgotten += 1
        return old

    def move_horizon(self, horizon_ms: int) -> None:
        """Set `horizon_ms`; where that rises, runs are ended that would cross it."""
        if horizon_ms > self.horizon_ms:
            for sources in self.by_topic.values():
                for source in sources.values():
                    source.stop()
        self.horizon_ms = horizon_ms

    def touch(self, topic: str, source: Source) -> None:
        """Take note that a source goes on."""
        self._order[topic, source.src] = self._order.pop((topic, source.src))

    def bound(self, source: Source) -> None:
        """Forget the lower half of the intervals of a source that has too many.

        Readings that are no newer than those become uncertain, also where only their `seq` tell.
        """
        most = self._max_intervals if source.kind is SeqKind.COUNT else MAX_SPARSE
        if len(source.seen) > most:
            count = len(source.seen) - most // 2
            forgotten = source.seen.forget_lowest(count)
            horizon_ms = forgotten + 1 if source.kind is SeqKind.TIME else source.until_ms
            source.horizon_ms = max(source.horizon_ms, horizon_ms)
            if source.kind is SeqKind.COUNT:
                self.forgotten += count
