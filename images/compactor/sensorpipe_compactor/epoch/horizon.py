"""From which event time on a reading that is not remembered is certainly new: pure.

Usually Kafka tells. Where it does not, because the log is new or has lost its beginning, or because
another compactor had our topics before, a right clock does: what was accepted before now is at most
a minute ahead of now. Until sources confirm our clock no reading is certain, as the horizon of a
clock that is behind would be too low.
"""

from typing import Final

from sensorpipe_schema.reading import MAX_AHEAD_MS

from sensorpipe_compactor.clock_check import ClockCheck, Instant

NEVER: Final = 2**63 - 1
"""An event time in ms that no reading reaches."""

_AGREED_MS: Final = 60_000
"""Milliseconds for which sources must agree with our clock to confirm it: the first ones may be
those that send again what is old."""

_STEP_MS: Final = 1_000
"""Milliseconds by which a confirmed clock may go forward, against the monotonic one, unseen."""


class Horizon:
    """Readings with an earlier `ts` may be durable already."""

    def __init__(
        self, newest_ms: int = 0, *, is_known: bool = True, is_shared: bool = False
    ) -> None:
        self.newest_ms = newest_ms
        """No durable partial ends later, in ms of event time, if that is sure."""
        self.is_shared = is_shared
        """Whether another compactor goes on to write the same readings: none is certain then."""
        self.is_sure = is_known and not is_shared
        """Whether `newest_ms` is the horizon."""
        self._is_known = is_known
        self._look_again_ms = 0
        """When sources are asked again whether they agree, on the monotonic clock."""
        self._agreed_since_ms: int | None = None
        """Since when sources agree with our clock without interruption, on the monotonic clock."""
        self._confirmed_ms: int | None = None
        """Milliseconds by which the confirmed wall clock is ahead of the monotonic one, if any."""

    @property
    def ms(self) -> int:
        """The horizon, in ms of event time; NEVER while it is not sure."""
        return self.newest_ms if self.is_sure else NEVER

    def notice_step(self, now: Instant) -> None:
        """Make the horizon unsure where the clock that it was taken from is set forward."""
        if self._confirmed_ms is not None and _offset(now) > self._confirmed_ms + _STEP_MS:
            self._doubt()

    def look(self, now: Instant, clock: ClockCheck) -> None:
        """Take the horizon from our clock once sources have confirmed that for a minute.

        It stays sure for as long as they agree with that clock, also where ours is set back.
        """
        if self._is_known or self.is_shared:
            return
        self.notice_step(now)
        if now.steady_ms < self._look_again_ms:
            return
        self._look_again_ms = now.steady_ms + len(clock) // 2  # to ask 1,000 takes a millisecond
        if self._confirmed_ms is not None:
            now = Instant(now.steady_ms + self._confirmed_ms, now.steady_ms)
        if not clock.agrees(now):
            self._doubt()
            return
        if self._agreed_since_ms is None:
            self._agreed_since_ms = now.steady_ms
        if not self.is_sure and now.steady_ms - self._agreed_since_ms >= _AGREED_MS:
            self._confirmed_ms, self.is_sure = _offset(now), True
            self.newest_ms = max(self.newest_ms, now.wall_ms + MAX_AHEAD_MS + 1)

    def _doubt(self) -> None:
        self.is_sure, self._agreed_since_ms, self._confirmed_ms = False, None, None


def _offset(now: Instant) -> int:
    """Return by how many ms the wall clock is ahead of the monotonic one."""
    return now.wall_ms - now.steady_ms
