"""Divides windows into slices that are reduced and encoded at once."""

from collections.abc import Iterable, Iterator
from typing import Final

from sensorpipe_compactor.windowing.buffers import Window

MAX_READINGS: Final = 25_000
"""Largest number of readings in a slice, with those that its sources count as. Only a single window
may have more. Nothing else is done while a slice is reduced and encoded."""

_SOURCE: Final = 10
"""As many readings as a source of a sensor in a window counts as: they take about as long."""


def slices(windows: Iterable[Window]) -> Iterator[list[Window]]:
    """Yield the windows in slices, in their order."""
    taken: list[Window] = []
    total = 0
    for window in windows:
        readings = window.count + _SOURCE * len(window.portions)
        if taken and total + readings > MAX_READINGS:
            yield taken
            taken, total = [], 0
        taken.append(window)
        total += readings
    if taken:
        yield taken
