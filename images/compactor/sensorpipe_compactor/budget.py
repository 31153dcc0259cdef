"""How many unacknowledged messages the broker grants us, learnt from what it does.

No broker says it: what MQTT 5 negotiates is our limit, not the broker's own
(Mosquitto 20 by default, rumqttd 100, EMQX 32, HiveMQ 10). A broker whose
window is full just stops sending. So a silence while we hold messages is a
suspicion; if messages come at once after we acknowledge, the level at which
it fell silent is taken for the limit, and from then on we flush before it.
"""

from typing import Final

from sensorpipe_schema.partial import MAX_IN_FLIGHT

_NEAR: Final = 0.75
"""Share of the budget at which a flush begins; the rest flows in while Kafka answers."""

_SILENCE: Final = 0.2
"""Seconds without a message that are suspicious."""

_AT_ONCE: Final = 0.1
"""Seconds within which a broker that waited for us goes on."""

_SMALLEST: Final = 8
"""No broker known grants fewer; below it a silence means nothing."""

_WITNESSES: Final = 2
"""Silences that must agree on a level: one can be chance."""


class Budget:
    """Decides when to flush early. Times are in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.limit = MAX_IN_FLIGHT
        """What the broker grants, as far as we know."""
        self._heard_at = 0.0
        self._in_vain = 0
        self._probed: tuple[int, float] | None = None
        self._witnesses: dict[int, int] = {}

    def received(self, held: int, now: float) -> None:
        """Take note that messages came and we now hold `held`."""
        if self._probed is not None:
            level, at = self._probed
            self._probed = None
            if now - at <= _AT_ONCE:
                self._testify(level)
            else:
                self._in_vain = max(self._in_vain, level)
        self._heard_at = now
        if held > self.limit:
            self.limit = MAX_IN_FLIGHT
            self._witnesses.clear()

    def wants_flush(self, held: int, now: float) -> bool:
        """Whether to flush everything now, so that the broker can go on sending."""
        if held >= self.limit * _NEAR:
            return True
        return held > self._in_vain and self._is_silent(held, now)

    def acknowledging(self, held: int, now: float) -> None:
        """Take note that we are about to acknowledge, holding `held` until now."""
        if self._is_silent(held, now):
            self._probed = held, now

    def reconnected(self) -> None:
        """Suspect again what was in vain on the former connection; the limit stays."""
        self._probed = None
        self._in_vain = 0

    def _is_silent(self, held: int, now: float) -> bool:
        return held >= _SMALLEST and now - self._heard_at >= _SILENCE

    def _testify(self, level: int) -> None:
        self._witnesses[level] = self._witnesses.get(level, 0) + 1
        if self._witnesses[level] >= _WITNESSES and level < self.limit:
            self.limit = level
            self._witnesses.clear()
