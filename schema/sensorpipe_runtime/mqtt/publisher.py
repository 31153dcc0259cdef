"""Publishes over MQTT: keeps each message until its PUBACK, in order, across connections."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

import mqtt5

from sensorpipe_runtime.mqtt.connection import Connection
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_runtime.mqtt.link import Link
from sensorpipe_runtime.mqtt.outbox import Outbox
from sensorpipe_runtime.throttled_log import ThrottledLogger

_SLOW_SECONDS: Final = 5.0
"""Seconds for a PUBACK above which the broker probably gets more than it can deliver."""

log = logging.getLogger(__name__)


class Publisher(Link):
    """Publishes at QoS 1, with a buffer of `capacity` messages."""

    def __init__(
        self,
        endpoint: Endpoint,
        client_id: str,
        *,
        capacity: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(endpoint, client_id)
        self._outbox = Outbox(capacity)
        self._refusal_log = ThrottledLogger(log)
        self._clock = clock
        self._slowness_log = ThrottledLogger(log)
        self._drained = asyncio.Event()
        self._drained.set()

    @property
    def acknowledged(self) -> int:
        """Number of messages that the broker has accepted."""
        return self._outbox.acknowledged

    @property
    def refused(self) -> int:
        """Number of messages that the broker has rejected; they are not sent again."""
        return self._outbox.refused

    @property
    def unacknowledged(self) -> int:
        """Number of messages without a PUBACK, in flight or in the buffer."""
        return self._outbox.unacknowledged

    @property
    def puback_seconds(self) -> float:
        """Latest time from a message to its PUBACK, in seconds."""
        return self._outbox.puback_seconds(self._clock())

    @property
    def room(self) -> int:
        """Number of messages that `publish` accepts now."""
        return self._outbox.room

    def publish(self, topic: str, payloads: list[bytes]) -> None:
        """Queue messages and send what may be in flight; raise BufferError without room for all."""
        self._outbox.put(topic, payloads)
        if self._outbox.unacknowledged:
            self._drained.clear()
        self._write()

    async def drained(self) -> None:
        """Wait until all messages are acknowledged."""
        await self._drained.wait()

    @property
    def _session_expiry(self) -> int:
        return 0  # the buffer is here, so the broker need not keep a session

    async def _begin(self, connection: Connection, answer: mqtt5.ConnAckPacket) -> None:  # noqa: ARG002  inherited
        self._outbox.connected(answer.receive_max)
        self._write()

    def _deliver(self, messages: list[Message]) -> None:
        """Ignore messages: a publisher subscribes to nothing."""

    def _settle(self, pubacks: list[mqtt5.PubAckPacket]) -> None:
        refused = self._outbox.refused
        self._outbox.settle(pubacks, self._clock())
        self._look_at_speed()
        if self._outbox.refused > refused:
            self._refusal_log.warning(
                "The broker refused messages; they are lost",
                broker=str(self.endpoint),
                user=self.endpoint.username or "none",
                check="what the broker's ACL lets this user publish",
            )
        if self._outbox.unacknowledged:
            self._write()
        else:
            self._drained.set()

    def _look_at_speed(self) -> None:
        if self.puback_seconds < _SLOW_SECONDS:
            self._slowness_log.resolved("The broker acknowledges in time again")
            return
        self._slowness_log.warning(
            "The broker acknowledges slowly: it may be sent more than it can hand on",
            broker=str(self.endpoint),
            longer_than_seconds=_SLOW_SECONDS,
        )

    def _lost(self) -> None:
        self._outbox.disconnected()

    def _write(self) -> None:
        if self._connection is not None:
            self._connection.write(self._outbox.due(self._clock()))
