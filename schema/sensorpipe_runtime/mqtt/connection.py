"""One connection to a broker, from CONNECT to its end."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, cast

import mqtt5

from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.errors import (
    MqttError,
    NoAnswerError,
    ProtocolError,
    RefusedError,
    SessionTakenOverError,
)
from sensorpipe_runtime.mqtt.frames import Frames, Inbound, Message, Refused
from sensorpipe_runtime.mqtt.gathering import Gathering

KEEP_ALIVE: Final = 30
"""Keep-alive in seconds; the broker disconnects a client after one and a half times that."""

_PING_EVERY: Final = KEEP_ALIVE / 3
_CONNECT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 2.0

_MESSAGES: Final = frozenset({mqtt5.PublishPacket, Refused})

_CONNACK_OF_MQTT_3: Final = b"\x20\x02"
"""Start of a CONNACK of MQTT 3.1.1: two bytes follow; in MQTT 5 at least three do."""

_NO_MQTT_5: Final = "the broker does not speak MQTT 5, which sensorpipe needs"
_NO_ANSWER_TO_CONNECT: Final = (
    "the broker ended the connection instead of answering CONNECT ({}); "
    "check that it speaks MQTT 5, and that the port is for MQTT with or without TLS as the URL says"
)

_SEND_BUFFER_BYTES: Final = 64 * 1024
"""Bytes that a throttled connection buffers for sending: 16,384 PUBACKs."""


class Connection(asyncio.Protocol):
    """Speaks MQTT 5 over one TCP or TLS connection.

    All that arrives in one read of the socket is passed on in one call: messages to
    `deliver`, PUBACKs to `settle`. An exception in either ends the connection and is set
    on `ended`.
    """

    def __init__(
        self,
        deliver: Callable[[list[Message]], None],
        settle: Callable[[list[mqtt5.PubAckPacket]], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._deliver = deliver
        self._settle = settle
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[mqtt5.Packet] | None = None
        self._heard = loop.time()
        self._greeted = False
        self._paused = False
        self._congested = False
        self._throttled = False
        self.gathers = False
        """Whether to read what comes within some time at once, up to 40 ms where few come."""
        self._gathering = Gathering()
        self._gather_timer: asyncio.TimerHandle | None = None
        self._leaving = False
        self._pinger: asyncio.TimerHandle | None = None

    @classmethod
    async def open(
        cls,
        endpoint: Endpoint,
        deliver: Callable[[list[Message]], None],
        settle: Callable[[list[mqtt5.PubAckPacket]], None],
    ) -> "Connection":
        """Connect the socket within 10 s, or raise MqttError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: cls(deliver, settle),
                    endpoint.host,
                    endpoint.port,
                    ssl=endpoint.tls_context(),
                )
        except (OSError, TimeoutError) as error:
            raise MqttError(f"cannot connect to {endpoint}: {error or 'no answer'}") from error
        return connection

    async def handshake(self, connect: mqtt5.ConnectPacket) -> mqtt5.ConnAckPacket:
        """Send CONNECT and return the broker's CONNACK; raise RefusedError if it refuses."""
        answer = await self.ask(connect.write())
        if not isinstance(answer, mqtt5.ConnAckPacket):
            raise ProtocolError(f"the broker answered CONNECT with {type(answer).__name__}")
        if answer.reason_code == mqtt5.ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
            raise ProtocolError(_NO_MQTT_5)
        if answer.reason_code != mqtt5.ConnAckReasonCode.SUCCESS:
            raise RefusedError(f"the broker refused the connection: {answer.reason_code.name}")
        seconds = answer.server_keep_alive or KEEP_ALIVE
        self._keep_alive(min(_PING_EVERY, seconds / 3))
        return answer

    async def ask(self, data: bytes) -> mqtt5.Packet:
        """Send a request and return its answer; raise NoAnswerError after 10 s without one."""
        self._answer = asyncio.get_running_loop().create_future()
        self.write(data)
        waited: list[asyncio.Future[Any]] = [self._answer, self.ended]
        while True:
            await asyncio.wait(
                waited, timeout=_CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if self._answer.done():
                return self._answer.result()
            if self.ended.done():
                self.ended.result()
            if not self._paused:
                raise NoAnswerError("the broker did not answer")

    def write(self, data: bytes) -> None:
        """Send packets if the connection is open."""
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def pause(self) -> None:
        """Stop reading from the socket; pings are still sent."""
        self._paused = True
        self._read_or_wait()

    def resume(self) -> None:
        """Continue reading from the socket."""
        if self._paused:
            self._paused = False
            self._heard = asyncio.get_running_loop().time()
            self._read_or_wait()

    def throttle(self) -> None:
        """Stop reading while the broker does not read what is sent to it.

        Mosquitto 2.0.11 would send a whole backlog before it reads a PUBACK.
        """
        if self._transport is not None and not self._transport.is_closing():
            peer = self._transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            self._transport.set_write_buffer_limits(high=_SEND_BUFFER_BYTES)
            self._throttled = True

    async def close(self) -> None:
        """Send DISCONNECT and wait up to 2 s for the broker to close the connection.

        Closing from this side with unread data would reset the connection, and the last
        PUBACKs, if the broker has not read them yet, would be lost.
        """
        self._leaving = True
        self.write(mqtt5.DisconnectPacket().write())
        self.resume()
        await asyncio.wait([self.ended], timeout=_CLOSE_SECONDS)
        self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass on all packets that are complete."""
        self._heard = asyncio.get_running_loop().time()
        if self._leaving:
            return
        if not self._greeted and data.startswith(_CONNACK_OF_MQTT_3):
            self._fail(ProtocolError(_NO_MQTT_5))
            return
        self._greeted = True
        try:
            packets = self._frames.feed(data)
            if _MESSAGES.issuperset(map(type, packets)):
                if packets:
                    self._deliver(cast("list[Message]", packets))
            else:
                self._sort(packets)
            if self.gathers and self._gather_timer is None:
                self._gather(len(data))
        except Exception as error:  # noqa: BLE001  `ended` hands it to whoever runs the link
            self._fail(error)

    def pause_writing(self) -> None:
        """Stop reading while the broker does not read, if the connection is throttled."""
        if self._throttled:
            self._congested = True
            self._read_or_wait()

    def resume_writing(self) -> None:
        """Continue reading."""
        if self._congested:
            self._congested = False
            self._heard = asyncio.get_running_loop().time()
            self._read_or_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection with an error for those who wait."""
        reason = exc or "closed by the broker"
        if self._answer is not None and not self._greeted:
            self._fail(MqttError(_NO_ANSWER_TO_CONNECT.format(reason)))
        self._fail(MqttError(f"the connection was lost: {reason}"))

    # Internal.

    def _sort(self, packets: list[Inbound]) -> None:
        messages = [packet for packet in packets if isinstance(packet, Message)]
        pubacks = [packet for packet in packets if isinstance(packet, mqtt5.PubAckPacket)]
        if len(messages) + len(pubacks) < len(packets):
            for packet in packets:
                self._control(packet)
        if messages:
            self._deliver(messages)
        if pubacks:
            self._settle(pubacks)

    def _control(self, packet: Inbound) -> None:
        if isinstance(packet, mqtt5.ConnAckPacket | mqtt5.SubAckPacket | mqtt5.UnsubAckPacket):
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(packet)
        elif isinstance(packet, mqtt5.DisconnectPacket):
            text = f"the broker disconnected us: {packet.reason_code.name}"
            if packet.reason_code == mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER:
                raise SessionTakenOverError(text)
            raise MqttError(text)

    def _read_or_wait(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._paused or self._congested or self._gather_timer is not None:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _gather(self, read: int) -> None:
        if seconds := self._gathering.pause(read, self._heard):
            loop = asyncio.get_running_loop()
            self._gather_timer = loop.call_later(seconds, self._end_gathering)
            self._read_or_wait()

    def _end_gathering(self) -> None:
        self._gather_timer = None
        self._read_or_wait()

    def _keep_alive(self, seconds: float) -> None:
        """Send a ping; end the connection if nothing came for three intervals while reading."""
        loop = asyncio.get_running_loop()
        silent = loop.time() - self._heard
        if silent > 3 * seconds and not self._paused:
            self._fail(MqttError(f"the broker has sent nothing for {silent:.0f} s"))
            return
        self.write(mqtt5.PingReqPacket().write())
        self._pinger = loop.call_later(seconds, self._keep_alive, seconds)

    def _fail(self, error: Exception) -> None:
        for timer in (self._pinger, self._gather_timer):
            if timer is not None:
                timer.cancel()
        if not self.ended.done():
            self.ended.set_exception(error)
            self.ended.exception()  # marks it as retrieved, so that asyncio does not warn
        self.abort()
