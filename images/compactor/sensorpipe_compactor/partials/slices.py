"""Divides windows into slices that are reduced, encoded and appended at once."""

from collections.abc import Iterable, Iterator
from typing import Final

from sensorpipe_compactor.buffers import Window

MAX_WINDOWS: Final = 500
"""Largest number of windows in a slice."""

MAX_READINGS: Final = 50_000
"""Readings in a slice, each source of a window counted as ten more. It has more where a single
window does. The event loop does nothing else while a slice is reduced and encoded."""

_SOURCE: Final = 10
"""Readings that take as long as a source of a sensor in a window besides its readings."""


def slices(windows: Iterable[Window]) -> Iterator[list[Window]]:
    """Yield the windows in slices, in their order."""
    taken: list[Window] = []
    total = 0
    for window in windows:
        cost = _cost(window)
        if taken and (len(taken) == MAX_WINDOWS or total + cost > MAX_READINGS):
            yield taken
            taken, total = [], 0
        taken.append(window)
        total += cost
    if taken:
        yield taken


def _cost(window: Window) -> int:
    return window.count + _SOURCE * len(window.portions)
