"""Finds the Feeds whose topics overlap those of another, without comparing each with each."""

from typing import Final, Generic, TypeVar

from sensorpipe_schema.feed.topic import TopicTemplate

T = TypeVar("T")

_ANY: Final = ("+", "#")


class TopicIndex(Generic[T]):
    """Topics and what they belong to, by their first level."""

    def __init__(self) -> None:
        self._by_level: dict[str, list[tuple[TopicTemplate, T]]] = {}

    def add(self, topic: TopicTemplate, owner: T) -> None:
        """Add a topic."""
        self._by_level.setdefault(_first(topic), []).append((topic, owner))

    def overlapping(self, topic: TopicTemplate) -> list[tuple[TopicTemplate, T]]:
        """Return the topics that overlap `topic`, and what they belong to."""
        level = _first(topic)
        levels = list(self._by_level) if level in _ANY else [level, *_ANY]
        return [
            (other, owner)
            for each in levels
            for other, owner in self._by_level.get(each, ())
            if topic.overlaps(other)
        ]


def _first(topic: TopicTemplate) -> str:
    return topic.filter.split("/", 1)[0]
