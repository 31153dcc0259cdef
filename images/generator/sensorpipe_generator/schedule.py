"""When each reading is due: an absolute schedule, which does not drift."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Schedule:
    """Readings of devices spread over each interval, in Unix milliseconds.

    Slot `tick * count + i` is that of the i-th device, `device = devices[i]`, due at
    `start + tick * interval + device * interval / total`, rounded down.
    """

    start_ms: int
    """Time of the first slot."""
    interval_ms: int
    """Time between two readings of a device."""
    total: int
    """Number of devices of the Sensor."""
    share: range | None = None
    """The devices in this schedule; None for all."""

    @classmethod
    def after(cls, now_ms: int, interval_ms: int, total: int, share: range | None = None) -> Self:
        """Return a schedule from the first multiple of the interval that is not before `now_ms`."""
        return cls(-(-now_ms // interval_ms) * interval_ms, interval_ms, total, share)

    @property
    def devices(self) -> range:
        """The numbers of the devices in this schedule."""
        return range(self.total) if self.share is None else self.share

    @property
    def count(self) -> int:
        """Number of devices in this schedule."""
        return len(self.devices)

    def time_of(self, slot: int) -> int:
        """Return when a slot is due, in Unix milliseconds."""
        tick, place = divmod(slot, self.count)
        return self.time_of_tick(tick) + self.devices[place] * self.interval_ms // self.total

    def time_of_tick(self, tick: int) -> int:
        """Return when a tick begins, at which the Sensor's first device is due, in Unix ms."""
        return self.start_ms + tick * self.interval_ms

    def due(self, now_ms: int) -> int:
        """Return the number of slots due at `now_ms`, which is the index of the next one."""
        tick, within = divmod(now_ms - self.start_ms, self.interval_ms)
        below = -(-(within + 1) * self.total // self.interval_ms)  # all devices with a lower number
        devices = min(max(below - self.devices.start, 0), self.count)
        return max(0, tick * self.count + devices)

    def offsets_ms(self) -> NDArray[np.int64]:
        """Return for each device how long after its tick it is due, in milliseconds."""
        return np.asarray(self.devices, dtype=np.int64) * self.interval_ms // self.total

    def moved_back(self, milliseconds: int) -> Self:
        """Return the schedule moved back by whole intervals, at least `milliseconds`."""
        intervals = -(-milliseconds // self.interval_ms)
        start = self.start_ms - intervals * self.interval_ms
        return replace(self, start_ms=start)
