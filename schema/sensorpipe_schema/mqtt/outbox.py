"""What a publisher has not yet seen acknowledged, in order and in bounded memory."""

from collections import deque

import mqtt5

_PACKET_IDS = 65_535
_FAILURE = 0x80

Waiting = tuple[str, bytes]
"""Topic and payload."""


class Outbox:
    """Holds every message from `put` until its PUBACK, through any number of connections."""

    def __init__(self, capacity: int) -> None:
        self.acknowledged = 0
        self.refused = 0
        """Messages that the broker answered with a reason of 0x80 and above: it has them not."""
        self._capacity = capacity
        self._waiting: deque[Waiting] = deque()
        self._in_flight: dict[int, Waiting] = {}
        self._window = 0
        self._last_id = 0

    @property
    def unacknowledged(self) -> int:
        """How many messages it holds."""
        return len(self._waiting) + len(self._in_flight)

    @property
    def room(self) -> int:
        """How many more messages it takes."""
        return self._capacity - self.unacknowledged

    def put(self, topic: str, payloads: list[bytes]) -> None:
        """Queue messages in order; raise BufferError where there is no room for all of them."""
        if len(payloads) > self.room:
            raise BufferError(f"no room for {len(payloads)} messages, only for {self.room}")
        self._waiting.extend([(topic, payload) for payload in payloads])

    def connected(self, receive_max: int) -> None:
        """Begin with a new connection: what was in flight goes out again, first and in order."""
        self._waiting.extendleft(reversed(self._in_flight.values()))
        self._in_flight.clear()
        self._window = min(receive_max, _PACKET_IDS)

    def disconnected(self) -> None:
        """Let nothing out until the next connection."""
        self._window = 0

    def due(self) -> bytes:
        """Return the packets that the broker's window lets out now."""
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
        return b"".join(packets)

    def settle(self, pubacks: list[mqtt5.PubAckPacket]) -> None:
        """Let go of what the broker has answered for."""
        for puback in pubacks:
            if self._in_flight.pop(puback.packet_id, None) is None:
                continue
            if puback.reason_code.value >= _FAILURE:
                self.refused += 1
            else:
                self.acknowledged += 1
