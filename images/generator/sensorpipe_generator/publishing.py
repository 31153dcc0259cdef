"""Publishes what is due, in order; what cannot be published in time is given up and counted."""

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
"""A reading is late if published more than an interval, and more than this, after its time."""

_MIN_PAUSE: Final = 0.02
_MAX_PAUSE: Final = 1.0
_SLOTS_A_STEP: Final = 5_000
_WARN_EVERY: Final = 60.0

log = logging.getLogger(__name__)


class Outlet(Protocol):
    """Where readings go: the MQTT link's publisher."""

    @property
    def room(self) -> int:
        """How many more readings it takes."""

    def publish(self, topic: str, payloads: list[bytes]) -> None:
        """Take a batch."""


@dataclass(slots=True)
class Totals:
    """Readings so far."""

    published: int = 0
    late: int = 0
    given_up: int = 0


class Publishing:
    """Follows the schedule through stalls and outages.

    What is due but finds no room waits as a mere place in the schedule, which takes no
    memory; once it is more than `patience_ms` behind, it is given up. A given-up reading
    never had a `seq`, so the numbers stay without gaps.
    """

    def __init__(
        self,
        readings: Readings,
        schedule: Schedule,
        outlet: Outlet,
        *,
        patience_ms: int,
        clock_ms: Callable[[], int],
    ) -> None:
        self.totals = Totals()
        self._readings = readings
        self._schedule = schedule
        self._outlet = outlet
        self._patience_ms = patience_ms
        self._clock_ms = clock_ms
        self._late_ms = max(MIN_LATE_MS, schedule.interval_ms)
        self._next_slot = 0
        self._next_seq = 1
        self._warned = -_WARN_EVERY

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
        """Publish what is due and has room; return the seconds until the next step."""
        if not self._schedule.count:
            return _MAX_PAUSE  # more replicas than devices
        now = self._clock_ms()
        self._follow_clock(now)
        too_old = self._schedule.due(now - self._patience_ms - 1)
        if self._next_slot < too_old:
            self._give_up(too_old)
            return 0.0
        due = self._schedule.due(now)
        room = self._outlet.room // len(self._readings.topics)
        last = min(due, self._next_slot + min(room, _SLOTS_A_STEP))
        if last > self._next_slot:
            self._publish(last, now)
        if self._next_slot < due and room >= _SLOTS_A_STEP:
            return 0.0
        wait = (self._schedule.time_of(self._next_slot) - now) / 1000
        return min(max(wait, _MIN_PAUSE), _MAX_PAUSE)

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
        """Pass over the slots before this one, by so many ticks that the loop is not held up."""
        at_once = max(1, _SLOTS_A_STEP // self._schedule.count) * self._schedule.count
        before = min(before, self._next_slot + at_once)
        self.totals.given_up += (before - self._next_slot) * len(self._readings.topics)
        self._next_slot = before
        self._readings.move_to(before // self._schedule.count)
        if time.monotonic() - self._warned >= _WARN_EVERY:
            self._warned = time.monotonic()
            log.warning("readings given up", extra={"given_up": self.totals.given_up})

    def _follow_clock(self, now: int) -> None:
        """Move the schedule back with a clock that was set back by more than the patience."""
        ahead = self._schedule.time_of(self._next_slot) - now
        excess = ahead - self._schedule.interval_ms
        if excess > self._patience_ms:
            self._schedule = self._schedule.moved_back(excess)
            log.warning("the clock was set back", extra={"milliseconds": excess})
