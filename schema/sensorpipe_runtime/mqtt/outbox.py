"""Messages of a publisher that are not acknowledged yet, in order and in bounded memory."""

from collections import deque

import mqtt5

_PACKET_IDS = 65_535
_FAILURE = 0x80

Waiting = tuple[str, bytes]
"""Topic and payload of a message."""


class Outbox:
    """Keeps each message from `put` to its PUBACK, across connections; at most `capacity`."""

    def __init__(self, capacity: int) -> None:
        self.acknowledged = 0
        self.refused = 0
        """Number of messages that the broker rejected with a reason code of 0x80 or above."""
        self._capacity = capacity
        self._waiting: deque[Waiting] = deque()
        self._in_flight: dict[int, Waiting] = {}
        self._window = 0
        self._last_id = 0
        self._timed: tuple[int, float] | None = None
        self._puback_seconds = 0.0

    @property
    def unacknowledged(self) -> int:
        """Number of messages without a PUBACK, sent or not."""
        return len(self._waiting) + len(self._in_flight)

    @property
    def room(self) -> int:
        """Number of messages that can be added now."""
        return self._capacity - self.unacknowledged

    def puback_seconds(self, now: float) -> float:
        """Return the latest time from a message to its PUBACK, in seconds.

        One message is timed at a time. If it already waits for longer, that time is returned.
        """
        waited = now - self._timed[1] if self._timed is not None else 0.0
        return max(self._puback_seconds, waited)

    def put(self, topic: str, payloads: list[bytes]) -> None:
        """Queue messages in order; raise BufferError without room for all of them."""
        if len(payloads) > self.room:
            raise BufferError(f"no room for {len(payloads)} messages, only for {self.room}")
        self._waiting.extend([(topic, payload) for payload in payloads])

    def connected(self, receive_max: int) -> None:
        """Start a new connection: messages in flight are sent again, first and in order."""
        self._waiting.extendleft(reversed(self._in_flight.values()))
        self._in_flight.clear()
        self._window = min(receive_max, _PACKET_IDS)

    def disconnected(self) -> None:
        """Send nothing until the next connection."""
        self._window = 0
        self._timed = None

    def due(self, now: float) -> bytes:
        """Return the packets that may be sent now, at `now` seconds of a monotonic clock."""
        free = min(self._window - len(self._in_flight), len(self._waiting))
        if free <= 0:
            return b""
        in_flight, popleft, packet_id = self._in_flight, self._waiting.popleft, self._last_id
        packet, qos, packets = mqtt5.PublishPacket, mqtt5.QoS.AT_LEAST_ONCE, []
        for _ in range(free):
            packet_id = packet_id % _PACKET_IDS + 1
            while packet_id in in_flight:
                packet_id = packet_id % _PACKET_IDS + 1
            in_flight[packet_id] = waiting = popleft()
            topic, payload = waiting
            packets.append(packet(topic, payload, qos=qos, packet_id=packet_id).write())
        self._last_id = packet_id
        if self._timed is None:
            self._timed = packet_id, now
        return b"".join(packets)

    def settle(self, pubacks: list[mqtt5.PubAckPacket], now: float) -> None:
        """Remove the messages that the broker has answered, at `now` seconds of the same clock."""
        for puback in pubacks:
            if self._in_flight.pop(puback.packet_id, None) is None:
                continue
            if puback.reason_code.value >= _FAILURE:
                self.refused += 1
            else:
                self.acknowledged += 1
        if self._timed is not None and self._timed[0] not in self._in_flight:
            self._puback_seconds = now - self._timed[1]
            self._timed = None
