"""How many messages the broker has dropped: the one loss that nobody else would notice."""

import asyncio
import logging
from typing import Final

import mqtt5
from sensorpipe_schema.backoff import Backoff
from sensorpipe_schema.mqtt.connection import KEEP_ALIVE, Connection
from sensorpipe_schema.mqtt.endpoint import Endpoint
from sensorpipe_schema.mqtt.frames import Message
from sensorpipe_schema.mqtt.subscribing import watch

TOPIC: Final = "$SYS/broker/publish/messages/dropped"
"""Where Mosquitto says it, since its start; no other broker known does."""

_LASTED: Final = 60.0
"""Seconds after which a connection counts as a good one."""

_log = logging.getLogger(__name__)


class Dropped:
    """Reads the broker's own count over a connection of its own, at QoS 0.

    It shares nothing with the subscriber that acknowledges: a broker that refuses it, or has
    no such topic, costs the number and nothing else.
    """

    def __init__(self, endpoint: Endpoint, client_id: str) -> None:
        self.messages: int | None = None
        """Since the broker started; None as long as it has not said so."""
        self._endpoint = endpoint
        self._client_id = f"{client_id}-watch"
        self._told = ""

    async def run(self) -> None:
        """Watch until cancelled; end for no other reason."""
        backoff = Backoff(5.0, 600.0)
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._watch()
            except Exception as error:  # noqa: BLE001  what only watches must stop nothing else
                self._tell(str(error))
            if loop.time() - began > _LASTED:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _watch(self) -> None:
        """Live through one connection; always ends with an exception."""
        connection = await Connection.open(self._endpoint, self._take, lambda _: None)
        try:
            await connection.handshake(self._connect_packet())
            await watch(connection, TOPIC)
            await connection.ended
        finally:
            connection.abort()

    def _take(self, messages: list[Message]) -> None:
        for message in messages:
            if message.topic == TOPIC and message.payload.isdigit():
                self.messages = int(message.payload)

    def _connect_packet(self) -> mqtt5.ConnectPacket:
        password = self._endpoint.password
        return mqtt5.ConnectPacket(
            self._client_id,
            username=self._endpoint.username,
            password=password.encode() if password is not None else None,
            keep_alive=KEEP_ALIVE,
            clean_start=True,
        )

    def _tell(self, problem: str) -> None:
        """Say once what is wrong, not at every try."""
        if problem != self._told:
            self._told = problem
            _log.info("The broker's dropped messages are not watched", extra={"error": problem})
