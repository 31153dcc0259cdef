"""Publishes readings when they are due; those that cannot be published in time are given up."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from sensorpipe_generator.readings import Readings
from sensorpipe_generator.schedule import Schedule

MIN_LATE_MS: Final = 100
"""Milliseconds; a reading is late if published more than this and an interval after its time."""

_MIN_PAUSE_SECONDS: Final = 0.02
"""Shortest pause between two steps without a backlog."""
_MAX_PAUSE_SECONDS: Final = 1.0
"""Longest pause between two steps."""
_SLOTS_PER_STEP: Final = 5_000
"""Largest number of slots published in one step, which blocks the event loop."""
_WARN_EVERY_SECONDS: Final = 60.0
"""Time between two warnings about given-up readings."""

log = logging.getLogger(__name__)


class Outlet(Protocol):
    """Where readings are published: the MQTT publisher."""

    @property
    def room(self) -> int:
        """Number of readings that it accepts now."""

    def publish(self, topic: str, payloads: list[bytes]) -> None:
        """Publish a batch of payloads to one topic."""


@dataclass(slots=True)
class Totals:
    """Numbers of readings since the start."""

    published: int = 0
    """Readings passed to the MQTT client."""
    late: int = 0
    """Readings published more than one interval after their time."""
    given_up: int = 0
    """Readings not published in time, or not acknowledged at the end."""


class Publishing:
    """Follows the schedule through stalls and outages.

    Readings that are due but find no room wait as a position in the schedule, which takes no
    memory; those more than `give_up_after_ms` behind are given up. A reading gets its `seq`
    only when it is published, so giving up leaves no gaps.
    """

    def __init__(
        self,
        readings: Readings,
        schedule: Schedule,
        outlet: Outlet,
        *,
        give_up_after_ms: int,
        clock_ms: Callable[[], int],
    ) -> None:
        self.totals = Totals()
        self._readings = readings
        self._schedule = schedule
        self._outlet = outlet
        self._give_up_after_ms = give_up_after_ms
        self._clock_ms = clock_ms
        self._late_ms = max(MIN_LATE_MS, schedule.interval_ms)
        self._next_slot = 0
        self._next_seq = 1
        self._warned = -_WARN_EVERY_SECONDS

    async def run(self, stopped: asyncio.Event) -> None:
        """Publish until `stopped` is set."""
        while not stopped.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self.step()):
                    await stopped.wait()

    def is_behind(self) -> bool:
        """Whether readings are due that were neither published nor given up."""
        count = self._schedule.count
        return count > 0 and self._next_slot < self._schedule.due(self._clock_ms())

    def step(self) -> float:
        """Publish readings that are due, as far as there is room; return seconds until the next."""
        if not self._schedule.count:
            return _MAX_PAUSE_SECONDS  # more replicas than devices
        now = self._clock_ms()
        self._follow_clock(now)
        too_old = self._schedule.due(now - self._give_up_after_ms - 1)
        if self._next_slot < too_old:
            self._give_up(too_old)
            return 0.0
        due = self._schedule.due(now)
        room = self._outlet.room // len(self._readings.topics)
        last = min(due, self._next_slot + min(room, _SLOTS_PER_STEP))
        if last > self._next_slot:
            self._publish(last, now)
        if self._next_slot < due and room >= _SLOTS_PER_STEP:
            return 0.0
        wait = (self._schedule.time_of(self._next_slot) - now) / 1000
        return min(max(wait, _MIN_PAUSE_SECONDS), _MAX_PAUSE_SECONDS)

    def _publish(self, last: int, now: int) -> None:
        first, count = self._next_slot, last - self._next_slot
        for topic, payloads in self._readings.batches(self._schedule, first, last, self._next_seq):
            self._outlet.publish(topic, payloads)
        late = min(max(self._schedule.due(now - self._late_ms - 1) - first, 0), count)
        width = len(self._readings.topics)
        self.totals.published += count * width
        self.totals.late += late * width
        self._next_slot = last
        self._next_seq += count

    def _give_up(self, before: int) -> None:
        """Skip slots before this one, at most as many as do not block the event loop."""
        at_once = max(1, _SLOTS_PER_STEP // self._schedule.count) * self._schedule.count
        before = min(before, self._next_slot + at_once)
        self.totals.given_up += (before - self._next_slot) * len(self._readings.topics)
        self._next_slot = before
        self._readings.move_to(before // self._schedule.count)
        if time.monotonic() - self._warned >= _WARN_EVERY_SECONDS:
            self._warned = time.monotonic()
            log.warning("Readings given up", extra={"given_up": self.totals.given_up})

    def _follow_clock(self, now: int) -> None:
        """Move the schedule back if the clock was set back by more than `give_up_after_ms`."""
        ahead = self._schedule.time_of(self._next_slot) - now
        excess = ahead - self._schedule.interval_ms
        if excess > self._give_up_after_ms:
            self._schedule = self._schedule.moved_back(excess)
            log.warning("The clock was set back", extra={"milliseconds": excess})
