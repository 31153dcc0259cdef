"""The Feeds in use, and which of them takes a message: pure."""

from collections.abc import Callable, Iterable
from typing import Final

from sensorpipe_schema.feed.decoder import FeedDecoder
from sensorpipe_schema.feed.manifest import Feed
from sensorpipe_schema.feed.names import MAX_REMEMBERED
from sensorpipe_schema.feed.spec import Counter

from sensorpipe_compactor.windowing.source import SeqKind

_MAX_TOPICS: Final = 10_000
"""Largest number of topics remembered; then all are forgotten, and looked for again."""


class ActiveFeed:
    """A Feed in use."""

    def __init__(self, feed: Feed) -> None:
        spec = feed.spec
        self.name = feed.full_name
        self.filter = spec.topic.filter
        decoder = FeedDecoder(feed)
        self.decode = decoder.decode
        self.units = decoder.units
        """Units by sensor, of those that messages have had so far."""
        self.has_time = spec.time is not None
        """Whether its messages say when they were made."""
        self.kind = SeqKind.COUNT
        """What the `seq` of its readings are, if they have any."""
        if isinstance(spec.identity, Counter):
            self.kind = SeqKind.SPARSE
        elif spec.identity == "time":
            self.kind = SeqKind.TIME
        self._levels = self.filter.split("/")

    def takes(self, topic: str) -> bool:
        """Whether the Feed's filter covers a topic."""
        parts = topic.split("/")
        for i, level in enumerate(self._levels):
            if level == "#":
                return True
            if i >= len(parts) or level not in {"+", parts[i]}:
                return False
        return len(parts) == len(self._levels)


class FeedSet:
    """Feeds whose filters do not overlap."""

    def __init__(self, feeds: Iterable[Feed] = ()) -> None:
        self.feeds = [ActiveFeed(feed) for feed in feeds if not feed.spec.suspend]
        self.on_new_topic: Callable[[str, ActiveFeed], None] | None = None
        """Called where a topic with a Feed is looked for the first time."""
        self._by_topic: dict[str, ActiveFeed | None] = {}

    @property
    def filters(self) -> list[str]:
        """The MQTT topic filters of all Feeds."""
        return sorted(feed.filter for feed in self.feeds)

    def find(self, topic: str) -> ActiveFeed | None:
        """Return the Feed that takes a topic; None if there is none."""
        try:
            return self._by_topic[topic]
        except KeyError:
            if len(self._by_topic) >= _MAX_TOPICS:
                self._by_topic.clear()
            found = next((feed for feed in self.feeds if feed.takes(topic)), None)
            if len(topic) <= MAX_REMEMBERED:
                self._by_topic[topic] = found
            if found is not None and self.on_new_topic is not None:
                self.on_new_topic(topic, found)
            return found
