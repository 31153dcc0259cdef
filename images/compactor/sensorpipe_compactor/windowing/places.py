"""Items in the order in which they came, of which any can be taken out at once."""

from typing import Final, Generic, Protocol, TypeVar

_TRIM: Final = 1_024
"""Places at the beginning from which on they are given back, if that is half of all."""


class Placed(Protocol):
    """An item that knows its place; -1 if it has none."""

    place: int


T = TypeVar("T", bound=Placed)


class Places(Generic[T]):
    """A list in which an item that is taken out leaves a hole: all in O(1) on average.

    It is as long as from the first item to the last, so the first ones are to go soon.
    """

    def __init__(self) -> None:
        self._items: list[T | None] = []
        self._base = 0
        """The place of the list's first item."""
        self._head = 0
        """Before it in the list there are only holes."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, item: T) -> None:
        """Add an item at the end."""
        item.place = self._base + len(self._items)
        self._items.append(item)
        self._count += 1

    def remove(self, item: T) -> None:
        """Take an item out."""
        self._items[item.place - self._base] = None
        item.place = -1
        self._count -= 1

    def first(self) -> T | None:
        """Return the first item; None if there is none."""
        if not self._count:
            self._base += len(self._items)
            self._items.clear()
            self._head = 0
            return None
        items, head = self._items, self._head
        while (item := items[head]) is None:
            head += 1
        if head >= _TRIM and 2 * head >= len(items):
            del items[:head]
            self._base, head = self._base + head, 0
        self._head = head
        return item
