"""How many unacknowledged messages the broker grants us, learnt from what it does.

No broker says it: what MQTT 5 negotiates is our limit, not the broker's own
(Mosquitto 20 by default, rumqttd 100, EMQX 32, HiveMQ 10). A broker whose
window is full just stops sending. So a silence while we hold messages is a
suspicion; if messages come at once after we acknowledge, the level at which
it fell silent is taken for the limit, and from then on we flush before it.
Now and then we try whether the broker grants more. That more than the limit
was in flight proves nothing: Mosquitto 2.0.11 exceeds its own for a moment
when it has a backlog, and then stops at it again.
"""

from typing import Final

from sensorpipe_schema.partial import MAX_IN_FLIGHT

_NEAR: Final = 0.75
"""Share of the budget at which a flush begins; the rest flows in while Kafka answers."""

_SILENCE: Final = 0.2
"""Seconds without a message that are suspicious."""

_AT_ONCE: Final = 0.1
"""Seconds within which a broker that waited for us goes on."""

_SMALLEST: Final = 10
"""No broker known grants fewer (HiveMQ 10); below it a silence means nothing."""

_WITNESSES: Final = 2
"""Silences in a row, each ended at once, that make a limit: one can be chance."""

_TRY_AFTER: Final = 60.0
"""Seconds without such a silence after which we try twice the limit."""


class Budget:
    """Decides when to flush early. Times are in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.limit = MAX_IN_FLIGHT
        """What the broker grants, as far as we know."""
        self._heard_at = 0.0
        self._in_vain = 0
        self._probed: tuple[int, float] | None = None
        self._witnesses: list[int] = []
        self._learnt_at = 0.0

    def received(self, now: float) -> None:
        """Take note that messages came."""
        if self._probed is not None:
            level, at = self._probed
            self._probed = None
            if now - at <= _AT_ONCE:
                self._testify(level, now)
            else:
                self._in_vain = max(self._in_vain, level)
                self._witnesses.clear()
        self._heard_at = now
        if self.limit < MAX_IN_FLIGHT and now - self._learnt_at >= _TRY_AFTER:
            self.limit = min(2 * self.limit, MAX_IN_FLIGHT)
            self._learnt_at = now

    def wants_flush(self, held: int, now: float) -> bool:
        """Whether to flush everything now, so that the broker can go on sending."""
        if held >= self.limit * _NEAR:
            return True
        return held > self._in_vain and self._is_silent(held, now)

    def acknowledged(self, held: int, now: float) -> None:
        """Take note that we have just acknowledged, having held `held` until then."""
        if self._is_silent(held, now):
            self._probed = held, now

    def reconnected(self) -> None:
        """Suspect again what was in vain on the former connection; the limit stays."""
        self._probed = None
        self._in_vain = 0

    def _is_silent(self, held: int, now: float) -> bool:
        return held >= _SMALLEST and now - self._heard_at >= _SILENCE

    def _testify(self, level: int, now: float) -> None:
        self._witnesses.append(level)
        if len(self._witnesses) >= _WITNESSES or self.limit < MAX_IN_FLIGHT:
            self.limit = min(self.limit, *self._witnesses)
            self._learnt_at = now
            self._witnesses.clear()
