"""Messages received and not yet acknowledged; PUBACKs keep their order (MQTT-4.6.0-2)."""

from functools import cache


@cache
def _pubacks() -> list[bytes]:
    """Return the PUBACK (without a reason, which means success) of each packet id."""
    return [b"\x40\x02" + packet_id.to_bytes(2, "big") for packet_id in range(65_536)]


class Inbox:
    """Numbers every message of a subscriber from 1, across connections.

    A message of an earlier connection cannot be acknowledged any more: the broker sends it
    again, and it gets a new number. Acknowledging the old number has no effect.
    """

    def __init__(self) -> None:
        self.received = 0
        """Number of the latest message."""
        self.acknowledged = 0
        """Number of PUBACKs returned so far."""
        self._base = 0
        self._waiting: list[int] = []
        self._unacknowledged = 0
        self._puback = _pubacks().__getitem__

    @property
    def unacknowledged(self) -> int:
        """Number of messages of QoS 1 of this connection that are not acknowledged."""
        return self._unacknowledged

    def connected(self) -> None:
        """Start a new connection, which has no unacknowledged messages."""
        self._base = self.received
        self._waiting.clear()
        self._unacknowledged = 0

    def take(self, packet_ids: list[int | None]) -> None:
        """Assign numbers to a batch of messages; those of QoS 0 have no packet id."""
        self._waiting.extend([packet_id or 0 for packet_id in packet_ids])
        self.received += len(packet_ids)
        self._unacknowledged += len(packet_ids) - packet_ids.count(None)

    def acknowledge(self, through: int) -> bytes:
        """Return the PUBACKs of all messages up to and including number `through`."""
        count = min(through, self.received) - self._base
        if count <= 0:
            return b""
        ids = self._waiting[:count]
        del self._waiting[:count]
        if 0 in ids:
            ids = [packet_id for packet_id in ids if packet_id]
        self._base += count
        self._unacknowledged -= len(ids)
        self.acknowledged += len(ids)
        return b"".join(map(self._puback, ids))
