"""Splits a byte stream into MQTT packets, and reads what it can of those the codec refuses.

A refused PUBLISH must still be acknowledged, or the broker sends it again on
every connection without end. So its topic, packet id and payload are read by hand.
"""

from typing import Final, NamedTuple

import mqtt5

from sensorpipe_runtime.mqtt.errors import ProtocolError

MAX_PACKET: Final = 256 * 1024
"""Largest packet that is read, in bytes; the rest of a longer one is skipped."""

MAX_IN_FLIGHT: Final = 65_535
"""Largest number of unacknowledged messages in flight to one client (MQTT 5, 3.1.2.11.3)."""

_PUBLISH: Final = 3
_KEPT: Final = 128 * 1024
_MAX_LENGTH_BYTES: Final = 4


class Refused(NamedTuple):
    """A malformed or too large PUBLISH, with what could be read of it."""

    topic: str
    payload: bytes
    packet_id: int | None
    reason: str


Message = mqtt5.PublishPacket | Refused
Inbound = mqtt5.Packet | Refused


class Frames:
    """Turns data of a socket into packets; buffers at most one incomplete packet."""

    def __init__(self) -> None:
        self._rest = b""
        self._skip = 0

    def feed(self, data: bytes) -> list[Inbound]:
        """Return all packets that are complete; raise ProtocolError if that is not possible."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if self._rest:
            data = self._rest + data
        view = memoryview(data)
        packets: list[Inbound] = []
        at = self._read_all(view, packets)
        if at > len(data):
            self._skip, at = at - len(data), len(data)
        self._rest = data[at:]
        return packets

    def _read_all(self, view: memoryview, packets: list[Inbound]) -> int:
        """Append all complete packets; return the position of the next one."""
        at, end, read = 0, len(view), mqtt5.read
        while at < end:
            try:
                while at < end:
                    packet, size = read(view[at:])
                    packets.append(packet)
                    at += size
            except BaseException as error:
                # The codec's Rust panics, outside of Exception, on text that is not UTF-8.
                if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                    raise
                size = self._refused(view[at:], error, packets)
                if not size:
                    break
                at += size
        return at

    def _refused(self, view: memoryview, error: BaseException, packets: list[Inbound]) -> int:
        """Append a refused packet; return its size in bytes, or 0 if it is only incomplete."""
        head, body = _lengths(view)
        if not head:
            return 0
        size = head + body
        if len(view) < size and (size <= MAX_PACKET or len(view) < _KEPT):
            return 0
        if view[0] >> 4 != _PUBLISH:
            raise ProtocolError(f"the broker sent a malformed packet: {error}") from error
        reason = "malformed_packet" if size <= MAX_PACKET else "too_large"
        packets.append(_salvage(view[0], bytes(view[head : min(size, _KEPT)]), reason))
        return size


def _lengths(view: memoryview) -> tuple[int, int]:
    """Return the lengths of fixed header and rest in bytes; (0, 0) if the header is incomplete."""
    body = 0
    for position in range(1, _MAX_LENGTH_BYTES + 1):
        if position >= len(view):
            return 0, 0
        byte = view[position]
        body |= (byte & 0x7F) << (7 * (position - 1))
        if byte < 0x80:  # noqa: PLR2004  the top bit says that more follows
            return position + 1, body
    raise ProtocolError("the broker sent a packet of impossible length")


def _salvage(first: int, body: bytes, reason: str) -> Refused:
    """Read topic, packet id and payload of a PUBLISH without checking text or properties."""
    length = int.from_bytes(body[:2], "big")
    topic, at = body[2 : 2 + length], 2 + length
    packet_id = None
    if first & 0b0110:
        packet_id = int.from_bytes(body[at : at + 2], "big")
        at += 2
        if len(body) < at or not packet_id:
            raise ProtocolError("the broker sent a PUBLISH without a packet id")
    return Refused(topic.decode("utf-8", "replace"), _payload(body[at:]), packet_id, reason)


def _payload(rest: bytes) -> bytes:
    """Return what follows the properties; everything if their length cannot be read."""
    try:
        head, properties = _lengths(memoryview(b"\0" + rest[:_MAX_LENGTH_BYTES]))
    except ProtocolError:
        return rest
    return rest[max(head - 1, 0) + properties :]
