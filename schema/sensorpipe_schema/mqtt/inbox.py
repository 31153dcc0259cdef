"""The order of acknowledgement: PUBACKs go out in the order of receipt (MQTT-4.6.0-2)."""

from functools import cache

from sensorpipe_schema.partial import REPEATABLE


@cache
def _pubacks() -> list[bytes]:
    """Return the PUBACK (without a reason, which means success) of each packet id."""
    return [b"\x40\x02" + packet_id.to_bytes(2, "big") for packet_id in range(65_536)]


class Inbox:
    """Numbers every message of a subscriber, across connections, from 1 on.

    What a former connection delivered cannot be acknowledged any more: the
    broker sends it again. So numbers go on, and acknowledging one from before
    the present connection does nothing.
    """

    def __init__(self) -> None:
        self.received = 0
        """The number of the latest message."""
        self.acknowledged = 0
        """How many PUBACKs were written."""
        self.at_qos_1 = 0
        """How many messages of QoS 1 were received, repeats after a reconnect left out.

        A reconnect repeats at the most what the connection before it brought (and
        had not got repeated itself): so many messages of a new one count for nothing.
        """
        self._counted_before = 0
        self._on_connection = 0
        self._repeats = 0
        self._base = 0
        self._waiting: list[int] = []
        self._held = 0
        self._puback = _pubacks().__getitem__

    @property
    def held(self) -> int:
        """How many messages the broker has in flight to us, unacknowledged."""
        return self._held

    def connected(self) -> None:
        """Begin with a new connection, on which nothing waits yet."""
        self._repeats = min(max(self._repeats, self._on_connection), REPEATABLE)
        self._on_connection = 0
        self._counted_before = self.at_qos_1
        self._base = self.received
        self._waiting.clear()
        self._held = 0

    def take(self, packet_ids: list[int | None]) -> None:
        """Give numbers to one batch of messages; those of QoS 0 have no packet id."""
        taken = len(packet_ids)
        acknowledgeable = taken - packet_ids.count(None)
        self._waiting.extend([packet_id or 0 for packet_id in packet_ids])
        self.received += taken
        self._on_connection += acknowledgeable
        if self._on_connection > self._repeats:
            self.at_qos_1 = self._counted_before + self._on_connection - self._repeats
        self._held += acknowledgeable

    def acknowledge(self, through: int) -> bytes:
        """Return the PUBACKs of everything up to and including number `through`."""
        count = min(through, self.received) - self._base
        if count <= 0:
            return b""
        ids = self._waiting[:count]
        del self._waiting[:count]
        if 0 in ids:
            ids = [packet_id for packet_id in ids if packet_id]
        self._base += count
        self._held -= len(ids)
        self.acknowledged += len(ids)
        return b"".join(map(self._puback, ids))
