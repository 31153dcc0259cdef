"""The sending side: keeps every message until its PUBACK, through reconnects, in order."""

import asyncio
import logging

import mqtt5

from sensorpipe_schema.complaint import Complaint
from sensorpipe_schema.mqtt.connection import Connection
from sensorpipe_schema.mqtt.endpoint import Endpoint
from sensorpipe_schema.mqtt.frames import Message
from sensorpipe_schema.mqtt.link import Link
from sensorpipe_schema.mqtt.outbox import Outbox

_log = logging.getLogger(__name__)


class Publisher(Link):
    """Publishes at QoS 1 from a buffer of `capacity` messages."""

    def __init__(self, endpoint: Endpoint, client_id: str, *, capacity: int) -> None:
        super().__init__(endpoint, client_id)
        self._outbox = Outbox(capacity)
        self._refusal = Complaint(_log)
        self._drained = asyncio.Event()
        self._drained.set()

    @property
    def acknowledged(self) -> int:
        """How many messages the broker has taken."""
        return self._outbox.acknowledged

    @property
    def refused(self) -> int:
        """How many messages the broker has answered with an error; they are not sent again."""
        return self._outbox.refused

    @property
    def unacknowledged(self) -> int:
        """How many messages wait, on their way or in the buffer."""
        return self._outbox.unacknowledged

    @property
    def room(self) -> int:
        """How many more messages it takes."""
        return self._outbox.room

    def publish(self, topic: str, payloads: list[bytes]) -> None:
        """Queue a batch and write what the broker's window lets out; BufferError without room."""
        self._outbox.put(topic, payloads)
        if self._outbox.unacknowledged:
            self._drained.clear()
        self._write()

    async def drained(self) -> None:
        """Return once nothing is unacknowledged."""
        await self._drained.wait()

    @property
    def _session_expiry(self) -> int:
        return 0  # the buffer is ours, so the broker has nothing to remember

    async def _begin(self, connection: Connection, answer: mqtt5.ConnAckPacket) -> None:  # noqa: ARG002  inherited
        self._outbox.connected(answer.receive_max)
        self._write()

    def _deliver(self, messages: list[Message]) -> None:
        """We subscribe to nothing."""

    def _settle(self, pubacks: list[mqtt5.PubAckPacket]) -> None:
        refused = self._outbox.refused
        self._outbox.settle(pubacks)
        if self._outbox.refused > refused:
            self._refusal.say(
                "The broker refused messages; they are lost",
                broker=str(self.endpoint),
                user=self.endpoint.username or "none",
                check="what the broker's ACL lets this user publish",
            )
        if self._outbox.unacknowledged:
            self._write()
        else:
            self._drained.set()

    def _lost(self) -> None:
        self._outbox.disconnected()

    def _write(self) -> None:
        if self._connection is not None:
            self._connection.write(self._outbox.due())
