"""Keeps a connection to a broker: connects, hands over, reconnects with back-off."""

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import Final

import mqtt5

from sensorpipe_schema.backoff import Backoff
from sensorpipe_schema.complaint import Complaint
from sensorpipe_schema.mqtt.connection import KEEP_ALIVE, Connection
from sensorpipe_schema.mqtt.endpoint import Endpoint
from sensorpipe_schema.mqtt.errors import MqttError, RefusedError, SessionTakenOverError
from sensorpipe_schema.mqtt.frames import Message

RECEIVE_MAX = 65_534
"""Messages of QoS 1 that may be on their way to us. One less than the protocol's default, which
goes unsaid: without it Mosquitto with `max_inflight_messages 0` knows no limit at all, sends a
whole backlog before it reads one PUBACK, and uses packet ids twice."""

_LASTED = 10.0
"""Seconds after which a connection counts as a good one and the next back-off begins anew."""

_CHECK: Final = (
    "user and password in SENSORPIPE_MQTT_URL, restarting if they have changed, "
    "and what the broker's ACL lets this user do"
)

_log = logging.getLogger(__name__)


class Link(ABC):
    """What a subscriber and a publisher have in common."""

    def __init__(self, endpoint: Endpoint, client_id: str) -> None:
        self.endpoint = endpoint
        self.client_id = client_id
        self.connections = 0
        """How many times it has been connected."""
        self.ready = False
        """Whether the present connection has all it begins with: its subscriptions, for one."""
        self._complaint = Complaint(_log)
        self._connection: Connection | None = None
        self._closing = False
        self._closed = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether packets can flow."""
        return self._connection is not None

    async def run(self) -> None:
        """Stay connected until cancelled, closed, or taken over by another client."""
        staying = asyncio.create_task(self._stay_connected(), name="mqtt")
        closed = asyncio.create_task(self._closed.wait(), name="mqtt closed")
        try:
            await asyncio.wait([staying, closed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            staying.cancel()
            closed.cancel()
            await asyncio.gather(staying, closed, return_exceptions=True)
        if not staying.cancelled():
            staying.result()

    async def _stay_connected(self) -> None:
        backoff = Backoff()
        loop = asyncio.get_running_loop()
        while not self._closing:
            began = loop.time()
            try:
                await self._live()
            except SessionTakenOverError:
                raise
            except MqttError as error:
                if loop.time() - began > _LASTED:
                    backoff.reset()
                await self._pause(error, backoff.next())

    async def _pause(self, error: MqttError, delay: float) -> None:
        """Wait before the next try, unless we ended the connection ourselves."""
        if self._closing:
            return
        fields = {"broker": str(self.endpoint), "error": str(error)}
        if isinstance(error, RefusedError):
            fields |= {"user": self.endpoint.username or "none", "check": _CHECK}
        self._complaint.say("MQTT connection ended; reconnecting", **fields)
        await asyncio.sleep(delay)

    async def close(self) -> None:
        """Disconnect, if connected; `run` returns, whatever it was waiting for."""
        self._closing = True
        if self._connection is not None:
            await self._connection.close()
        self._closed.set()

    async def _live(self) -> None:
        """Live through one connection; always ends with an exception."""
        connection = await Connection.open(self.endpoint, self._deliver, self._settle)
        try:
            answer = await connection.handshake(self._connect_packet())
            self._connection = connection
            self.connections += 1
            await self._begin(connection, answer)
            self.ready = True
            self._complaint.reset()
            _log.info(
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
        """Seconds for which the broker keeps our session; 0 for none."""

    @abstractmethod
    async def _begin(self, connection: Connection, answer: mqtt5.ConnAckPacket) -> None:
        """Do what a new connection begins with."""

    @abstractmethod
    def _deliver(self, messages: list[Message]) -> None:
        """Take messages."""

    @abstractmethod
    def _settle(self, pubacks: list[mqtt5.PubAckPacket]) -> None:
        """Take acknowledgements."""

    def _lost(self) -> None:  # noqa: B027  most have nothing to do
        """Take note that the connection ended."""
