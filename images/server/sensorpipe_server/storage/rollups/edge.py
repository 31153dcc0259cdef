"""How many stored windows rollups could have taken in since the last round, as a bound for it.

Rounds begin by the clock. Where windows come faster than their own time goes by, as after an
outage, many of them are without rollups long before the next round, and every answer reads them.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from sensorpipe_server.storage.pending import Pending
from sensorpipe_server.storage.rollups.levels import FIVE_MINUTES

LONG: Final = 20_000
"""Windows without rollups, though they could have some, from which on a round is due."""

LONG_EACH: Final = 10
"""The same for each facility, since a round asks for the newest window of every one of them."""

REMEMBERED: Final = 100_000
"""Facilities whose open bucket is remembered; beyond that the memory starts anew."""


class Edge:
    """Counts the windows of buckets that are complete: newer ones came, by `margin_ms` at least.

    The bucket that each facility is in counts once it is left. Only this process's windows count.
    """

    def __init__(self, margin_ms: int) -> None:
        self._margin_ms = margin_ms
        self._open: dict[str, tuple[int, int]] = {}
        """By facility the start of the bucket that is open, and the windows that came in it."""
        self._complete = 0
        self._long = asyncio.Event()

    def add(self, partials: Iterable[Pending]) -> None:
        """Count partials that were stored, each as a window, which nearly all of them are."""
        known = self._open
        for each in partials:
            start_ms = FIVE_MINUTES.start(each.start_ms - self._margin_ms)
            open_ms, windows = known.get(each.facility, (start_ms, 0))
            if start_ms > open_ms:
                self._complete += windows
                open_ms, windows = start_ms, 0
            known[each.facility] = (open_ms, windows + 1)
        if self._complete >= max(LONG, LONG_EACH * len(known)):
            self._long.set()
        if len(known) > REMEMBERED:
            known.clear()

    def is_long(self) -> bool:
        """Whether so many windows are complete that a round is due."""
        return self._long.is_set()

    async def until_long(self) -> None:
        """Return once so many windows are complete."""
        await self._long.wait()

    def begin(self) -> None:
        """Count anew: a round begins, which takes in all that is complete."""
        self._complete = 0
        self._long.clear()
