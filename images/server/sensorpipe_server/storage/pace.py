"""Limits background work to a share of the time of the event loop."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

SHARE: Final = 0.25
"""Largest share of the time for background work."""

BEHIND_SHARE: Final = 0.6
"""Largest share while the work itself is behind: requests then read what it has not done."""

BUSY_SHARE: Final = 0.05
"""Largest share while there is more urgent work than can be done at once."""

SLICE_SECONDS: Final = 0.02
"""Seconds of work after which there is a rest."""

MAX_REST_SECONDS: Final = 1.0
"""Longest rest in seconds, however long the work before it took."""

LARGE_BYTES: Final = 128 * 1024
"""Smallest size in bytes of messages that are processed in a thread: some 20 ms of work."""


class Pace:
    """Lets work rest, so that it takes at most a share of the time.

    The share is larger while the work is `behind`, and smaller while more urgent work is `busy`.
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
        """Note that work begins now."""
        self._since = self._timer()

    async def rest(self) -> None:
        """Rest if there were SLICE_SECONDS of work since the last rest."""
        worked = self._timer() - self._since
        if worked >= SLICE_SECONDS:
            await asyncio.sleep(min(worked * (1 / self._share_now() - 1), MAX_REST_SECONDS))
            self._since = self._timer()

    def _share_now(self) -> float:
        if self._busy():
            return BUSY_SHARE
        return max(self._share, BEHIND_SHARE) if self._behind() else self._share


async def aside(size: int, work: Callable[..., T], *args: object) -> T:
    """Call `work` on data of `size` bytes; if they are many, in a thread beside the event loop."""
    if size < LARGE_BYTES:
        return work(*args)
    return await asyncio.to_thread(work, *args)
