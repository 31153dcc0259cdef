"""Counts stored windows that are complete but have no rollups yet, to start a round early.

Rounds start by the clock. When windows arrive faster than their own time passes, as after an
outage, many have no rollups long before the next round, and every answer reads them.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from sensorpipe_server.storage.pending import Pending
from sensorpipe_server.storage.rollups.levels import FIVE_MINUTES

LONG: Final = 5_000
"""Number of complete windows without rollups at which a round is due.

A request for all of them takes some 100 ms of CPU for this number.
"""

LONG_EACH: Final = 10
"""The same number for each facility, since a round queries the newest window of each."""

REMEMBERED: Final = 100_000
"""Largest number of facilities whose open bucket is remembered; then all are forgotten."""


class Edge:
    """Counts windows of complete buckets: those that end `margin_ms` before the newest window.

    A facility's current bucket counts once a later one begins. Only windows that this process
    has stored are counted.
    """

    def __init__(self, margin_ms: int) -> None:
        self._margin_ms = margin_ms
        self._open: dict[str, tuple[int, int]] = {}
        """Start of the open bucket and number of its windows, by facility."""
        self._complete = 0
        self._long = asyncio.Event()

    def add(self, partials: Iterable[Pending]) -> None:
        """Count stored partials, each as one window, which is nearly always right."""
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
        """Wait until so many windows are complete that a round is due."""
        await self._long.wait()

    def begin(self) -> None:
        """Reset the count: a round begins, which includes all complete windows."""
        self._complete = 0
        self._long.clear()
