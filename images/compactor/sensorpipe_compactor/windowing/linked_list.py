"""Items in an order of their own: the first one, one added at the end or taken out, all in O(1)."""

from collections.abc import Iterator
from typing import Generic, Protocol, Self, TypeVar


class Linked(Protocol):
    """An item that knows its neighbours, so that it takes no memory beside it."""

    before: Self | None
    after: Self | None


T = TypeVar("T", bound=Linked)


class LinkedList(Generic[T]):
    """A doubly linked list of items that hold the links themselves; an item is in one at most."""

    __slots__ = ("first", "last")

    def __init__(self) -> None:
        self.first: T | None = None
        self.last: T | None = None

    def __iter__(self) -> Iterator[T]:
        item = self.first
        while item is not None:
            yield item
            item = item.after

    def append(self, item: T) -> None:
        """Add an item at the end."""
        last = item.before = self.last
        if last is None:
            self.first = item
        else:
            last.after = item
        self.last = item

    def remove(self, item: T) -> None:
        """Take an item out."""
        before, after = item.before, item.after
        if before is None:
            self.first = after
        else:
            before.after = after
        if after is None:
            self.last = before
        else:
            after.before = before
        item.before = item.after = None
