"""A share of the time for work that nobody waits for."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

SHARE: Final = 0.25
"""Of the time, for what nobody waits for."""

BEHIND_SHARE: Final = 0.6
"""Of the time, while this work itself falls behind: others then read what it left undone."""

BUSY_SHARE: Final = 0.05
"""Of the time, while there is more urgent work than can be done at once."""

SLICE_SECONDS: Final = 0.02
"""Longest time of work after which there is a rest."""

MAX_REST_SECONDS: Final = 1.0
"""Longest rest, whatever took so long before it."""

LARGE_BYTES: Final = 128 * 1024
"""Size of messages from which on they are worked on in a thread: some 20 ms of work."""


class Pace:
    """Lets work rest so that it takes a share of the time at most.

    A larger one while it is `behind`, and a smaller one while others are `busy`, who go first.
    """

    def __init__(
        self,
        share: float = SHARE,
        timer: Callable[[], float] = time.monotonic,
        *,
        busy: Callable[[], bool] = lambda: False,
        behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self._share = share
        self._timer = timer
        self._busy = busy
        self._behind = behind
        self._since = timer()

    def begin(self) -> None:
        """Take note that work begins now."""
        self._since = self._timer()

    async def rest(self) -> None:
        """Rest if there was enough work since the last time."""
        worked = self._timer() - self._since
        if worked >= SLICE_SECONDS:
            await asyncio.sleep(min(worked * (1 / self._share_now() - 1), MAX_REST_SECONDS))
            self._since = self._timer()

    def _share_now(self) -> float:
        if self._busy():
            return BUSY_SHARE
        return max(self._share, BEHIND_SHARE) if self._behind() else self._share


async def aside(size: int, work: Callable[..., T], *args: object) -> T:
    """Do work on so many bytes: large ones in a thread, so that the event loop goes on."""
    if size < LARGE_BYTES:
        return work(*args)
    return await asyncio.to_thread(work, *args)
