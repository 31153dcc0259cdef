"""Finds the Feeds whose topics overlap those of another, without comparing each with each."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from sensorpipe_schema.feed.topic import TopicTemplate

T = TypeVar("T")


class _Node(Generic[T]):
    """A level of filters: what they go on with, and those that end here."""

    __slots__ = ("ends", "next")

    def __init__(self) -> None:
        self.next: dict[str, _Node[T]] = {}
        self.ends: list[tuple[int, TopicTemplate, T]] = []


class TopicIndex(Generic[T]):
    """Topics and what they belong to, as a tree of the levels of their filters."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._size = 0

    def add(self, topic: TopicTemplate, owner: T) -> None:
        """Add a topic."""
        node = self._root
        for level in topic.filter.split("/"):
            node = node.next.setdefault(level, _Node())
        self._size += 1
        node.ends.append((self._size, topic, owner))

    def overlapping(self, topic: TopicTemplate) -> list[tuple[TopicTemplate, T]]:
        """Return the topics that overlap `topic`, and what they belong to, as they were added."""
        found = _overlapping(self._root, topic.filter.split("/"), 0)
        return [(other, owner) for _, other, owner in sorted(found, key=lambda end: end[0])]


def _overlapping(
    node: _Node[T], levels: list[str], at: int
) -> Iterator[tuple[int, TopicTemplate, T]]:
    """Yield what overlaps the levels from `at` on; `#` also stands for no level at all."""
    level = levels[at] if at < len(levels) else None
    if level == "#":
        yield from _all(node)
        return
    if (rest := node.next.get("#")) is not None:
        yield from rest.ends
    if level is None:
        yield from node.ends
        return
    for name in node.next if level == "+" else (level, "+"):
        if name != "#" and (inner := node.next.get(name)) is not None:
            yield from _overlapping(inner, levels, at + 1)


def _all(node: _Node[T]) -> Iterator[tuple[int, TopicTemplate, T]]:
    yield from node.ends
    for inner in node.next.values():
        yield from _all(inner)
