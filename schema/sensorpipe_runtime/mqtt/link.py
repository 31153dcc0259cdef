"""Keeps a client connected to a broker: connects, and reconnects with back-off."""

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Final

import mqtt5

from sensorpipe_runtime.aio import cancel_on
from sensorpipe_runtime.backoff import Backoff
from sensorpipe_runtime.mqtt.connection import KEEP_ALIVE, Connection
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.errors import MqttError, RefusedError, SessionTakenOverError
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_runtime.throttled_log import ThrottledLogger

RECEIVE_MAX = 65_534
"""Largest number of messages of QoS 1 in flight to this client. One less than the default, which is
not sent: without a limit, Mosquitto with `max_inflight_messages 0` sends a whole backlog before
it reads a PUBACK, and uses packet ids twice."""

_LASTED = 10.0
"""Seconds that a connection must last for the next back-off to start from the beginning."""

_CHECK: Final = (
    "user and password in SENSORPIPE_MQTT_URL, restarting if they have changed, "
    "and what the broker's ACL lets this user do"
)

log = logging.getLogger(__name__)


class Link(ABC):
    """A client that stays connected: what Subscriber and Publisher have in common."""

    def __init__(self, endpoint: Endpoint, client_id: str) -> None:
        self.endpoint = endpoint
        self.client_id = client_id
        self.attempts = 0
        """Number of attempts to connect."""
        self.connections = 0
        """Number of connections that the broker accepted."""
        self.ready = False
        """Whether the connection is set up: with a subscriber, including its subscriptions."""
        self._throttled_log = ThrottledLogger(log)
        self._connection: Connection | None = None
        self._closing = False
        self._closed = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the present connection."""
        return self._connection is not None

    async def run(self) -> None:
        """Stay connected until cancelled or closed; raise SessionTakenOverError if taken over."""
        await cancel_on(self._closed, self._stay_connected())

    async def _stay_connected(self) -> None:
        backoff = Backoff()
        loop = asyncio.get_running_loop()
        while not self._closing:
            began = loop.time()
            self.attempts += 1
            try:
                await self._run_connection()
            except SessionTakenOverError:
                raise
            except MqttError as error:
                if loop.time() - began > _LASTED:
                    backoff.reset()
                await self._pause(error, backoff.next())

    async def _pause(self, error: MqttError, delay: float) -> None:
        """Wait before the next attempt, unless the connection was closed from this side."""
        if self._closing:
            return
        fields = {"broker": str(self.endpoint), "error": str(error)}
        if isinstance(error, RefusedError):
            fields |= {"user": self.endpoint.username or "none", "check": _CHECK}
        self._throttled_log.warning("MQTT connection ended; reconnecting", **fields)
        await asyncio.sleep(delay)

    async def close(self) -> None:
        """Disconnect if connected, and let `run` return."""
        self._closing = True
        if self._connection is not None:
            await self._connection.close()
        self._closed.set()

    async def _run_connection(self) -> None:
        """Connect and wait for the end of the connection; always raises."""
        connection = await Connection.open(self.endpoint, self._deliver, self._settle)
        try:
            answer = await connection.handshake(self._connect_packet())
            self._connection = connection
            self.connections += 1
            await self._begin(connection, answer)
            self.ready = True
            self._throttled_log.reset()
            log.info(
                "MQTT connected",
                extra={"broker": str(self.endpoint), "session_present": answer.session_present},
            )
            await connection.ended
        finally:
            self._connection = None
            self.ready = False
            self._lost()
            connection.abort()

    def _connect_packet(self) -> mqtt5.ConnectPacket:
        password = self.endpoint.password
        return mqtt5.ConnectPacket(
            self.client_id,
            username=self.endpoint.username,
            password=password.encode() if password is not None else None,
            keep_alive=KEEP_ALIVE,
            clean_start=self._session_expiry == 0,
            receive_max=RECEIVE_MAX,
            session_expiry_interval=self._session_expiry,
        )

    @property
    @abstractmethod
    def _session_expiry(self) -> int:
        """Seconds for which the broker keeps the session after a connection; 0 for none."""

    @abstractmethod
    async def _begin(self, connection: Connection, answer: mqtt5.ConnAckPacket) -> None:
        """Set up a new connection."""

    @abstractmethod
    def _deliver(self, messages: list[Message]) -> None:
        """Process received messages."""

    @abstractmethod
    def _settle(self, pubacks: list[mqtt5.PubAckPacket]) -> None:
        """Process received acknowledgements."""

    def _lost(self) -> None:  # noqa: B027  most have nothing to do
        """Note that the connection ended."""
