"""How many messages the broker has dropped: the one loss that nothing else shows."""

import asyncio
import logging
from typing import Final

import mqtt5
from sensorpipe_runtime.backoff import Backoff
from sensorpipe_runtime.mqtt.connection import KEEP_ALIVE, Connection
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_runtime.mqtt.subscribing import watch

TOPIC: Final = "$SYS/broker/publish/messages/dropped"
"""The topic on which Mosquitto publishes how many messages it dropped since it started."""

_GOOD_SECONDS: Final = 60.0
"""Seconds for which a connection must last to reset the pause before the next."""

_SESSION_SECONDS: Final = 24 * 3600
"""Seconds for which the broker keeps the session while it is not connected: it queues one number
each time that changes, at most every 10 s by default."""

log = logging.getLogger(__name__)


class BrokerDrops:
    """Reads the broker's own count over a connection of its own.

    A broker that retains nothing says the number only when it changes. So the session stays
    while we are away, for a day, and what was said meanwhile comes at the start.
    It shares nothing with the subscriber that acknowledges: a broker that refuses it, or
    has no such topic, costs the number and nothing else.
    """

    def __init__(self, endpoint: Endpoint, client_id: str) -> None:
        self.messages: int | None = None
        """Messages dropped since the broker started; None until the broker has said so."""
        self.connected = False
        """Whether the broker's count is subscribed now."""
        self._connection: Connection | None = None
        self._endpoint = endpoint
        self._client_id = f"{client_id}-watch"
        self._logged_problem = ""

    async def run(self) -> None:
        """Watch until cancelled; end for no other reason."""
        backoff = Backoff(5.0, 600.0)
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._watch()
            except Exception as error:  # noqa: BLE001  what only watches must stop nothing else
                self._log_once(str(error))
            if loop.time() - began > _GOOD_SECONDS:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _watch(self) -> None:
        """Live through one connection; always ends with an exception."""
        connection = await Connection.open(self._endpoint, self._take, lambda _: None)
        self._connection = connection
        try:
            await connection.handshake(self._connect_packet())
            await watch(connection, TOPIC)
            self.connected = True
            await connection.ended
        finally:
            self._connection, self.connected = None, False
            connection.abort()

    def _take(self, messages: list[Message]) -> None:
        for message in messages:
            if message.packet_id is not None and self._connection is not None:
                self._connection.write(mqtt5.PubAckPacket(message.packet_id).write())
            if message.topic == TOPIC and message.payload.isdigit():
                self.messages = int(message.payload)

    def _connect_packet(self) -> mqtt5.ConnectPacket:
        password = self._endpoint.password
        return mqtt5.ConnectPacket(
            self._client_id,
            username=self._endpoint.username,
            password=password.encode() if password is not None else None,
            keep_alive=KEEP_ALIVE,
            clean_start=False,
            session_expiry_interval=_SESSION_SECONDS,
        )

    def _log_once(self, problem: str) -> None:
        """Log what is wrong once, not at each attempt."""
        if problem != self._logged_problem:
            self._logged_problem = problem
            log.info("The broker's dropped messages are not watched", extra={"error": problem})
