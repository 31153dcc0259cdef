"""Whether work that waits is moving: what a liveness probe should ask."""

import time
from collections.abc import Callable
from typing import Final

STALLED_AFTER: Final = 60.0
"""Seconds for which something may wait while nothing moves and nothing is tried."""


class Progress:
    """Tells work that waits and does not move from having nothing to do.

    `moved` is called with each success and each attempt that failed: a program that
    waits for a service which is away, and says so, needs no restart. Seconds are
    those of `clock`, which must be monotonic. Any thread may ask.
    """

    def __init__(
        self,
        waiting: Callable[[], bool],
        *,
        stalled_after: float = STALLED_AFTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting = waiting
        self._stalled_after = stalled_after
        self._clock = clock
        self._since: float | None = None

    def moved(self) -> None:
        """Take note that something was done or tried just now."""
        self._since = None if self._since is None else self._clock()

    def look(self) -> None:
        """Note whether something waits; call it at least as often as the answer is needed."""
        if not self._waiting():
            self._since = None
        elif self._since is None:
            self._since = self._clock()

    def is_made(self) -> bool:
        """Return False if something has waited too long since the last move; looks first."""
        self.look()
        since = self._since  # another thread may ask
        return since is None or self._clock() - since < self._stalled_after
