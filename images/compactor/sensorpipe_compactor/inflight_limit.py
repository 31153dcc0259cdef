"""How many unacknowledged messages the broker grants us, learned from what it does.

No broker says it: what MQTT 5 negotiates is our limit, not the broker's own
(Mosquitto 20 by default, rumqttd 100, EMQX 32, HiveMQ 10). A broker whose
window is full just stops sending. So a silence while we hold messages is a
suspicion, if it is far longer than the pauses that the publishers make anyway;
if messages come at once after we acknowledge, the level at which it fell
silent is taken for the limit, and from then on we flush before it. Where the
publishers pause for seconds themselves, it shows as well, more slowly: after the
flush of a closed window a full broker fills up to exactly the same level at once.
Now and then we try whether the broker grants more. That more than the limit
was in flight proves nothing: Mosquitto 2.0.11 exceeds its own for a moment
when it has a backlog, and then stops at it again.
"""

from typing import Final

from sensorpipe_runtime.mqtt.frames import MAX_IN_FLIGHT

_NEAR: Final = 0.75
"""Share of the limit at which a flush begins; the rest flows in while Kafka answers."""

_FEW_READINGS: Final = 100
"""Messages for each open window below which its partial is small. Then it waits for more of them,
until no more than `_ROOM` are granted."""

_ROOM: Final = 3_000
"""Messages that flow in while a slice of the flush is written."""

_SILENCE: Final = 0.2
"""Seconds without a message below which nothing is suspicious."""

_FAR_LONGER: Final = 4
"""Times the longest pause of late that a silence must last to be suspicious."""

_UNKNOWN_PAUSE: Final = 0.25
"""Seconds that publishers are assumed to pause before any pause was seen."""

_PAUSES_KEPT: Final = 15.0
"""Seconds for which a pause is remembered at least, and twice as long at most. A window that
waits for the next burst of its publishers is flushed sooner, with windows of 10 s."""

_AT_ONCE: Final = 0.1
"""Seconds within which a broker that waited for us goes on."""

_AT_ONCE_SHARE: Final = 0.25
"""Share of its silence within which a broker that waited for us goes on, if that is longer:
some take 150 ms."""

_SMALLEST: Final = 10
"""Smallest limit that is learned, in messages: no known broker grants fewer (HiveMQ 10)."""

_STALLS_NEEDED: Final = 2
"""Silences in a row, each ended at once, that make a limit: one can be chance."""

_TRY_AFTER: Final = 60.0
"""Seconds without such a silence after which we try twice the limit."""


class Pauses:
    """The longest pause between messages of late. Times are in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._longest = _UNKNOWN_PAUSE
        self._before = 0.0
        self._since: float | None = None

    @property
    def longest(self) -> float:
        """The longest pause of the last 15 to 30 s, in seconds."""
        return max(self._longest, self._before)

    def add(self, seconds: float, now: float) -> None:
        """Note a pause of so many seconds that ended at `now`."""
        if self._since is None:
            self._since = now
        elif now - self._since >= _PAUSES_KEPT:
            self._before, self._longest, self._since = self._longest, 0.0, now
        self._longest = max(self._longest, seconds)


class InFlightLimit:
    """Decides when to flush early, by the in-flight limit as learned so far.

    Times are in seconds of one monotonic clock.
    """

    def __init__(self) -> None:
        self.messages = MAX_IN_FLIGHT
        """Number of unacknowledged messages that the broker grants, as far as is known."""
        self._pauses = Pauses()
        self._received_at: float | None = None
        self._acknowledged_at = 0.0
        self._suspected: int | None = None
        self._refilling: int | None = None
        self._stalls: list[int] = []
        self._learnt_at = 0.0

    def received(self, unacknowledged: int, now: float) -> None:
        """Note that messages came at `now`, so that so many are unacknowledged."""
        if self._went_on_at_once(now):
            if self._suspected is not None:
                self._record_stall(self._suspected, now)
                self._refilling = None
        elif self._received_at is not None:
            self._pauses.add(now - self._received_at, now)
            if self._suspected is not None:
                self._stalls.clear()
        self._suspected = None
        self._received_at = now
        if self._refilling == unacknowledged and now - self._acknowledged_at <= _AT_ONCE:
            self._record_stall(unacknowledged, now)
            self._refilling = None
        if self.messages < MAX_IN_FLIGHT and now - self._learnt_at >= _TRY_AFTER:
            self.messages = min(2 * self.messages, MAX_IN_FLIGHT)
            self._learnt_at = now

    def wants_flush(self, unacknowledged: int, windows: int, now: float) -> bool:
        """Return whether to flush before time, so that the broker can go on sending.

        `windows` is the number of those that are open: each becomes a partial.
        """
        near = self.messages * _NEAR
        if unacknowledged < windows * _FEW_READINGS:
            near = max(near, self.messages - _ROOM)
        return unacknowledged >= near or self._is_silent(unacknowledged, now)

    def acknowledged(self, unacknowledged: int, now: float) -> None:
        """Note that messages were acknowledged at `now`; `unacknowledged` were not before."""
        if self._refilling is not None:
            self._stalls.clear()
        quiet = self._received_at is not None and now - self._received_at >= _SILENCE
        self._refilling = unacknowledged if quiet and unacknowledged >= _SMALLEST else None
        if self._is_silent(unacknowledged, now):
            self._suspected = unacknowledged
        self._acknowledged_at = now

    def reconnected(self) -> None:
        """Forget silences of the last connection; the limit stays as it is."""
        self._suspected = None
        self._refilling = None
        self._received_at = None
        self._stalls.clear()

    def _is_silent(self, unacknowledged: int, now: float) -> bool:
        if unacknowledged < _SMALLEST or self._received_at is None:
            return False
        return now - self._received_at >= max(_SILENCE, _FAR_LONGER * self._pauses.longest)

    def _went_on_at_once(self, now: float) -> bool:
        """Whether the broker seems to have waited for our last acknowledgement."""
        if self._received_at is None or self._acknowledged_at <= self._received_at:
            return False
        silence = self._acknowledged_at - self._received_at
        return now - self._acknowledged_at <= max(_AT_ONCE, _AT_ONCE_SHARE * silence)

    def _record_stall(self, level: int, now: float) -> None:
        self._stalls.append(level)
        if len(self._stalls) >= _STALLS_NEEDED or self.messages < MAX_IN_FLIGHT:
            self.messages = min(self.messages, *self._stalls)
            self._learnt_at = now
            self._stalls.clear()
