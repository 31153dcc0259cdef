"""Whether an event loop still turns, as seen from another thread."""

import asyncio
import time

_EVERY = 1.0
_DEAD_AFTER = 30.0


class Heartbeat:
    """Beats once a second on the loop that runs it."""

    def __init__(self) -> None:
        self._beat = time.monotonic()

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._beat = time.monotonic()
            await asyncio.sleep(_EVERY)

    def is_beating(self) -> bool:
        """Whether the loop has turned within the last 30 s."""
        return time.monotonic() - self._beat < _DEAD_AFTER
