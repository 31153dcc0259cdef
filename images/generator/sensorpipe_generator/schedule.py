"""When each reading is due: an absolute schedule, so nothing that happens makes it drift."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Schedule:
    """Devices spread over each interval, in unix milliseconds.

    Slot `tick * count + device` is due at `start + tick * interval + device * interval / count`,
    rounded down.
    """

    start_ms: int
    interval_ms: int
    count: int

    @classmethod
    def after(cls, now_ms: int, interval_ms: int, count: int) -> Self:
        """Start at the first multiple of the interval that is not past."""
        return cls(-(-now_ms // interval_ms) * interval_ms, interval_ms, count)

    def time_of(self, slot: int) -> int:
        """Return when a slot is due."""
        tick, device = divmod(slot, self.count)
        return self.start_ms + tick * self.interval_ms + device * self.interval_ms // self.count

    def due(self, now_ms: int) -> int:
        """Return how many slots are due by then, which is the number of the next one."""
        tick, within = divmod(now_ms - self.start_ms, self.interval_ms)
        devices = -(-(within + 1) * self.count // self.interval_ms)
        return max(0, tick * self.count + min(devices, self.count))

    def offsets_ms(self) -> NDArray[np.int64]:
        """Return how long after its tick each device is due."""
        return np.arange(self.count, dtype=np.int64) * self.interval_ms // self.count

    def moved_back(self, milliseconds: int) -> Self:
        """Return the same slots, due earlier by whole intervals: at least so much."""
        intervals = -(-milliseconds // self.interval_ms)
        start = self.start_ms - intervals * self.interval_ms
        return type(self)(start, self.interval_ms, self.count)
