"""What a liveness probe checks: that the event loop runs, and that waiting work progresses."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

STALLED_AFTER: Final = 60.0
"""Seconds that work may wait without a success or an attempt before it counts as stalled."""

_BEAT_SECONDS = 1.0
_DEAD_AFTER = 30.0


class Heartbeat:
    """Notes once a second that the event loop runs; any thread may ask for the result."""

    def __init__(self) -> None:
        self._beat = time.monotonic()

    async def run(self) -> None:
        """Beat once a second until cancelled."""
        while True:
            self.beat()
            await asyncio.sleep(_BEAT_SECONDS)

    def beat(self) -> None:
        """Note that the loop runs now."""
        self._beat = time.monotonic()

    def is_beating(self) -> bool:
        """Whether the last beat was less than 30 s ago."""
        return time.monotonic() - self._beat < _DEAD_AFTER


class Progress:
    """Distinguishes stalled work from having no work.

    `moved` is called after each success and each failed attempt: a program that waits for an
    unavailable service, and logs it, needs no restart. `waiting` returns whether there is work.
    `stalled_after` and the monotonic `clock` are in seconds. Any thread may ask.

    Instead of calls of `moved`, `position` may return a value that differs after each
    success and each attempt; `look` compares it with the one before.
    """

    def __init__(
        self,
        waiting: Callable[[], bool],
        *,
        position: Callable[[], object] = lambda: None,
        stalled_after: float = STALLED_AFTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting = waiting
        self._position = position
        self._seen = position()
        self._stalled_after = stalled_after
        self._clock = clock
        self._since: float | None = None

    def moved(self) -> None:
        """Note that work succeeded or was attempted now."""
        self._since = None if self._since is None else self._clock()

    def look(self) -> None:
        """Note whether work waits; call it at least once in `stalled_after` seconds."""
        seen, self._seen = self._seen, self._position()
        if not self._waiting():
            self._since = None
        elif seen != self._seen or self._since is None:
            self._since = self._clock()

    def is_made(self) -> bool:
        """Return False if work has waited for `stalled_after` seconds without progress."""
        self.look()
        since = self._since  # another thread may ask
        return since is None or self._clock() - since < self._stalled_after
