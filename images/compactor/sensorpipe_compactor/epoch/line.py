"""From which event time on a reading that is not remembered is certainly new: pure.

Usually Kafka tells. Where it does not, because the log is new or has lost its beginning, a right
clock does: what was taken before now is at most a minute ahead of now. Until sources confirm our
clock no reading is certain, as a clock that is behind would draw the line too early.
"""

from typing import Final

from sensorpipe_schema.reading import MAX_AHEAD_MS

from sensorpipe_compactor.clocks.clock_check import ClockCheck
from sensorpipe_compactor.clocks.instant import Instant

NEVER: Final = 2**63 - 1
"""An event time in ms that no reading reaches."""

_HEARD_MS: Final = 60_000
"""Milliseconds from the first reading until sources can confirm our clock: those heard first may
be the ones that send again what is old."""

_STEP_MS: Final = 1_000
"""Milliseconds by which a confirmed clock may go forward, against the monotonic one, unseen."""


class Line:
    """Readings with an earlier `ts` may be durable already."""

    def __init__(self, newest_ms: int = 0, *, is_told: bool = True) -> None:
        self.newest_ms = newest_ms
        """No durable partial ends later, in ms of event time, if that is sure."""
        self.is_sure = is_told
        """Whether `newest_ms` is the line."""
        self._is_told = is_told
        self._began_ms: int | None = None
        """When the first reading came, on the monotonic clock."""
        self._confirmed_ms: int | None = None
        """By how much the confirmed wall clock was ahead of the monotonic one."""

    @property
    def ms(self) -> int:
        """The line, in ms of event time; NEVER while it is not sure."""
        return self.newest_ms if self.is_sure else NEVER

    def look(self, now: Instant, clock: ClockCheck) -> None:
        """Draw the line once sources confirm our clock, and anew where it is set forward."""
        if self._is_told:
            return
        if self._began_ms is None and clock.has_sources:
            self._began_ms = now.steady_ms
        offset = now.wall_ms - now.steady_ms
        self.is_sure = self._confirmed_ms is not None and offset <= self._confirmed_ms + _STEP_MS
        if self.is_sure or self._began_ms is None or now.steady_ms - self._began_ms < _HEARD_MS:
            return
        if not clock.agrees(now):
            return
        self._confirmed_ms, self.is_sure = offset, True
        self.newest_ms = max(self.newest_ms, now.wall_ms + MAX_AHEAD_MS + 1)
