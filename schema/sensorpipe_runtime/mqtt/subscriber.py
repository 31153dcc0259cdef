"""The receiving side: a session that survives us, acknowledged when the handler says so."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

import mqtt5

from sensorpipe_runtime.mqtt.connection import Connection
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.errors import MqttError
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_runtime.mqtt.inbox import Inbox
from sensorpipe_runtime.mqtt.link import Link
from sensorpipe_runtime.mqtt.subscribing import (
    subscribe,
    subscribe_if_allowed,
    unsubscribe,
)

SESSION_SECONDS: Final = 7 * 24 * 3600
"""Seconds for which the broker keeps the session; older readings are rejected as too old."""


log = logging.getLogger(__name__)


class Handler(Protocol):
    """Receives the messages of a subscriber."""

    def on_messages(self, messages: Sequence[Message], before: int) -> None:
        """Process a batch of messages, numbered from `before + 1`."""

    def on_connected(self, *, session_present: bool) -> None:
        """Note a new connection; without a session the broker may have lost messages."""


class Subscriber(Link):
    """Receives messages of topic filters at least once, across connections and restarts.

    Messages without a PUBACK are delivered again after a reconnect, under new numbers.
    """

    def __init__(
        self, endpoint: Endpoint, client_id: str, topic_filters: list[str], handler: Handler
    ) -> None:
        super().__init__(endpoint, client_id)
        self.former_filters: set[str] = set()
        """Filters of earlier settings that the session may still have; empty once it has none."""
        self.refused_filters: dict[str, str] = {}
        """Further filters that the broker refuses now, and the names of its reason codes."""
        self.gathers = True
        """Whether messages are read together that come within 40 ms: where the broker grants few in
        flight, it would wait for us."""
        self._further_filters: list[str] = []
        self._subscribed: set[str] = set()
        self._requests = asyncio.Lock()
        self._filters = topic_filters
        self._handler = handler
        self.inbox = Inbox()

    @property
    def further_subscriptions(self) -> int:
        """Number of further filters that are subscribed on this connection."""
        return len(self._subscribed) if self.ready else 0

    def is_subscribed(self, pattern: str) -> bool:
        """Whether a further filter is subscribed on this connection."""
        return self.ready and pattern in self._subscribed

    def acknowledge(self, through: int) -> None:
        """Acknowledge all messages up to and including number `through`."""
        if self._connection is not None:
            self._connection.write(self.inbox.acknowledge(through))

    def pause(self) -> None:
        """Stop receiving until `resume` or a new connection."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """Receive again."""
        if self._connection is not None:
            self._connection.resume()

    @property
    def _session_expiry(self) -> int:
        return SESSION_SECONDS

    async def _begin(self, connection: Connection, answer: mqtt5.ConnAckPacket) -> None:
        connection.throttle()
        self._handler.on_connected(session_present=answer.session_present)
        async with self._requests:
            # Also with a session: its filters may be those of earlier settings.
            await subscribe(connection, self._filters, session_present=answer.session_present)
            self._subscribed.clear()
            await self._subscribe_further(connection, session_present=answer.session_present)
            if answer.session_present:
                await self._unsubscribe(connection)
            else:
                self.former_filters.clear()

    async def subscribe_also(self, filters: list[str]) -> None:
        """Receive messages of further filters from now on, and not of former ones.

        Without a connection the next one does it. Other than the first filters these may be
        refused: see `refused_filters`.
        """
        self._further_filters = filters
        async with self._requests:
            connection = self._connection
            if connection is None or not self.ready:
                return
            try:
                await self._subscribe_further(connection, session_present=True)
                await self._unsubscribe(connection)
            except MqttError as error:
                log.info("The next connection subscribes", extra={"error": str(error)})

    async def _subscribe_further(self, connection: Connection, *, session_present: bool) -> None:
        wanted = [each for each in self._further_filters if each not in self._subscribed]
        self._subscribed.intersection_update(self._further_filters)
        refused = await subscribe_if_allowed(connection, wanted, session_present=session_present)
        self._subscribed.update(each for each in wanted if each not in refused)
        known, self.refused_filters = self.refused_filters, refused
        for pattern, reason in refused.items():
            if known.get(pattern) != reason:
                log.warning(
                    "The broker does not let us subscribe",
                    extra={"filter": pattern, "error": reason},
                )

    async def _unsubscribe(self, connection: Connection) -> None:
        """End former subscriptions: afterwards, so that nothing is missed between the two."""
        if not self.former_filters:
            return
        self.former_filters.intersection_update(
            await unsubscribe(connection, sorted(self.former_filters))
        )
        if self.former_filters:
            log.warning(
                "The broker does not end subscriptions of earlier settings",
                extra={"filters": sorted(self.former_filters)},
            )

    def _deliver(self, messages: list[Message]) -> None:
        before = self.inbox.received
        self.inbox.take([message.packet_id for message in messages])
        self._handler.on_messages(messages, before)
        if self._connection is not None:
            self._connection.gathers = self.gathers

    def _settle(self, pubacks: list[mqtt5.PubAckPacket]) -> None:
        """Ignore acknowledgements: a subscriber publishes nothing."""

    def _lost(self) -> None:
        self.inbox.connected()
