"""A raw MQTT 5 client for loads: blocking, and publishing bytes that were made beforehand."""

import socket
from collections.abc import Iterable
from contextlib import suppress

import mqtt5

CHUNK = 1000
"""Publishes of one write."""

Chunk = tuple[bytes, int]
"""Packets, and how many."""


class RawClient:
    """One connection to a broker on this machine."""

    def __init__(self, port: int, client_id: str, *, clean: bool, expiry: int = 0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self._in_flight = 0
        connect = mqtt5.ConnectPacket(
            client_id, clean_start=clean, session_expiry_interval=expiry, keep_alive=0
        )
        answer = self._ask(connect.write())
        if not isinstance(answer, mqtt5.ConnAckPacket) or answer.reason_code.value:
            raise RuntimeError(f"the broker answered CONNECT with {answer}")
        self.window = answer.receive_max
        """How many messages the broker takes before it has acknowledged any."""

    def subscribe(self, pattern: str) -> None:
        """Subscribe at QoS 1."""
        topic_filter = mqtt5.TopicFilter(pattern, max_qos=mqtt5.QoS.AT_LEAST_ONCE)
        self._ask(mqtt5.SubscribePacket(1, [topic_filter]).write())

    def publish(self, chunks: Iterable[Chunk]) -> int:
        """Publish everything within the broker's window; return how many it acknowledged."""
        total = 0
        for data, count in chunks:
            self._send(data, count)
            total += count
        self.settle()
        return total

    def send(self, data: bytes, count: int) -> None:
        """Send so many publishes; take what acknowledgements are there, and wait for no others.

        Waits only where the broker's window is full.
        """
        self._send(data, count)
        with suppress(BlockingIOError):
            self._in_flight -= self._pubacks(socket.MSG_DONTWAIT)

    def settle(self) -> None:
        """Wait until everything is acknowledged."""
        while self._in_flight:
            self._in_flight -= self._pubacks()

    def _send(self, data: bytes, count: int) -> None:
        while self._in_flight + count > self.window:
            self._in_flight -= self._pubacks()
        self._socket.sendall(data)
        self._in_flight += count

    def close(self) -> None:
        """Say goodbye; what the broker keeps of the session was settled by `expiry`."""
        self._socket.sendall(mqtt5.DisconnectPacket().write())
        self._socket.close()

    def _ask(self, data: bytes) -> mqtt5.Packet:
        self._socket.sendall(data)
        packet, _ = mqtt5.read(memoryview(self._socket.recv(4096)))
        return packet

    def _pubacks(self, flags: int = 0) -> int:
        """Return how many PUBACKs the next read of the socket completes."""
        received = self._socket.recv(1 << 18, flags)
        if not received:
            raise RuntimeError("the broker closed the connection")
        data = self._rest + received
        step = 2 + data[1] if len(data) > 1 else 2
        whole = len(data) // step
        if data[: whole * step : step].count(0x40) == whole and len(data) > 1:
            # all of one size, as they are unless the broker changes its mind midway
            self._rest = data[whole * step :]
            return whole
        raise RuntimeError("PUBACKs of several sizes, or other packets between them")


def packets(
    topics: list[str], payloads: Iterable[tuple[int, bytes]], window: int, chunk: int = CHUNK
) -> list[Chunk]:
    """Return QoS 1 publishes of (index of topic, payload), with packet ids that fit a window."""
    ids = window - window % chunk if window > chunk else window
    chunks: list[Chunk] = []
    held: list[bytes] = []
    qos = mqtt5.QoS.AT_LEAST_ONCE
    for number, (topic, payload) in enumerate(payloads):
        packet = mqtt5.PublishPacket(topics[topic], payload, qos=qos, packet_id=number % ids + 1)
        held.append(packet.write())
        if len(held) == min(chunk, ids):
            chunks.append((b"".join(held), len(held)))
            held = []
    if held:
        chunks.append((b"".join(held), len(held)))
    return chunks


def make_session(port: int, client_id: str, pattern: str) -> None:
    """Leave a subscribed session behind, as a compactor that is down does."""
    client = RawClient(port, client_id, clean=True, expiry=3600)
    client.subscribe(pattern)
    client.close()


def remove_session(port: int, client_id: str) -> None:
    """Make the broker forget a session."""
    RawClient(port, client_id, clean=True).close()
