"""The recent changes, from which a client that was away for a moment is served. Pure."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from sensorpipe_server.storage.documents import WindowKey, read_id
from sensorpipe_server.storage.mongodb.changes import Change, Position

MAX_CHANGES: Final = 50_000
"""Largest number of changes that are remembered, some 10 MB: 10 s at 5,000 a second."""


def window_of(change: Change) -> WindowKey | None:
    """Return the window whose partial was inserted; None if it is of another document.

    A folded document takes the place of partials, and changes nothing.
    """
    try:
        key = read_id(change.id)
    except ValueError:
        return None
    return None if key.is_folded else key.window


class RecentChanges:
    """The changes since a place, in order; the oldest are forgotten."""

    def __init__(self, start: Position, most: int = MAX_CHANGES) -> None:
        self.start = start
        """The place since which all changes are remembered."""
        self.end = start
        """The place up to which all changes are remembered."""
        self._most = most
        self._changes: deque[tuple[Position, WindowKey]] = deque()

    def add(self, changes: Iterable[tuple[Position, WindowKey]], end: Position) -> None:
        """Add the next changes, up to a place."""
        self._changes.extend(changes)
        self.end = max(self.end, end)
        while len(self._changes) > self._most:
            self.start, _ = self._changes.popleft()

    def __len__(self) -> int:
        """Return the number of changes that are remembered."""
        return len(self._changes)

    def covers(self, position: Position) -> bool:
        """Whether all changes since a place are remembered."""
        return self.start <= position

    def windows_after(
        self, position: Position, wants: Callable[[str], bool]
    ) -> dict[WindowKey, Position]:
        """Return the windows of wanted facilities that changed behind a place, by last change.

        `wants` is asked for each change.
        """
        found: dict[WindowKey, Position] = {}
        for place, key in reversed(self._changes):
            if place <= position:
                break
            if key not in found and wants(key.facility):
                found[key] = place
        return found
