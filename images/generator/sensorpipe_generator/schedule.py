"""When each reading is due: an absolute schedule, so nothing that happens makes it drift."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Schedule:
    """Devices spread over each interval, in unix milliseconds.

    Slot `tick * count + i` is that of the i-th device, `device = devices[i]`, due at
    `start + tick * interval + device * interval / total`, rounded down.
    """

    start_ms: int
    interval_ms: int
    total: int
    """Devices of the Sensor."""
    share: range | None = None
    """Those of them that this schedule has; None for all."""

    @classmethod
    def after(cls, now_ms: int, interval_ms: int, total: int, share: range | None = None) -> Self:
        """Start at the first multiple of the interval that is not past."""
        return cls(-(-now_ms // interval_ms) * interval_ms, interval_ms, total, share)

    @property
    def devices(self) -> range:
        """The devices of this schedule."""
        return range(self.total) if self.share is None else self.share

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.devices)

    def time_of(self, slot: int) -> int:
        """Return when a slot is due."""
        tick, place = divmod(slot, self.count)
        return self.time_of_tick(tick) + self.devices[place] * self.interval_ms // self.total

    def time_of_tick(self, tick: int) -> int:
        """Return when a tick begins, which is when the Sensor's first device is due."""
        return self.start_ms + tick * self.interval_ms

    def due(self, now_ms: int) -> int:
        """Return how many slots are due by then, which is the number of the next one."""
        tick, within = divmod(now_ms - self.start_ms, self.interval_ms)
        below = -(-(within + 1) * self.total // self.interval_ms)  # all devices with a lower number
        devices = min(max(below - self.devices.start, 0), self.count)
        return max(0, tick * self.count + devices)

    def offsets_ms(self) -> NDArray[np.int64]:
        """Return how long after its tick each device is due."""
        return np.asarray(self.devices, dtype=np.int64) * self.interval_ms // self.total

    def moved_back(self, milliseconds: int) -> Self:
        """Return the same slots, due earlier by whole intervals: at least so much."""
        intervals = -(-milliseconds // self.interval_ms)
        start = self.start_ms - intervals * self.interval_ms
        return replace(self, start_ms=start)
