"""The receiving side: a session that survives us, acknowledged when the handler says so."""

import logging
from collections.abc import Sequence
from typing import Final, Protocol

import mqtt5

from sensorpipe_schema.mqtt.connection import Connection
from sensorpipe_schema.mqtt.endpoint import Endpoint
from sensorpipe_schema.mqtt.frames import Message
from sensorpipe_schema.mqtt.inbox import Inbox
from sensorpipe_schema.mqtt.link import Link
from sensorpipe_schema.mqtt.subscribing import subscribe, unsubscribe

SESSION_SECONDS: Final = 7 * 24 * 3600
"""For which the broker keeps our session; readings older than this are none (DESIGN 2)."""


_log = logging.getLogger(__name__)


class Handler(Protocol):
    """Who takes what a subscriber receives."""

    def on_messages(self, messages: Sequence[Message], before: int) -> None:
        """Take a batch; its messages have the numbers from `before + 1`."""

    def on_connected(self, *, session_present: bool) -> None:
        """Take note of a new connection; without a session the broker may have lost messages."""


class Subscriber(Link):
    """Receives from topic filters, across connections and restarts, at least once.

    Messages that a former connection delivered and nobody acknowledged are
    delivered again, under new numbers, after a reconnect.
    """

    def __init__(
        self, endpoint: Endpoint, client_id: str, topic_filters: list[str], handler: Handler
    ) -> None:
        super().__init__(endpoint, client_id)
        self.former: set[str] = set()
        """Filters of former settings that the session may have; empty once the broker has none."""
        self._filters = topic_filters
        self._handler = handler
        self.inbox = Inbox()

    def acknowledge(self, through: int) -> None:
        """Acknowledge all messages up to and including the number `through`, in one write."""
        if self._connection is not None:
            self._connection.write(self.inbox.acknowledge(through))

    def pause(self) -> None:
        """Stop receiving until `resume` (or a new connection)."""
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
        # Also into a session that is there: its filters may be those of former settings.
        await subscribe(connection, self._filters, session_present=answer.session_present)

        # Only then, so that no reading falls between a former filter and its narrower successor.
        if answer.session_present and self.former:
            self.former = set(await unsubscribe(connection, sorted(self.former)))
        else:
            self.former = set()
        if self.former:
            _log.warning(
                "The broker does not end subscriptions of former settings",
                extra={"filters": sorted(self.former)},
            )

    def _deliver(self, messages: list[Message]) -> None:
        before = self.inbox.received
        self.inbox.take([message.packet_id for message in messages])
        self._handler.on_messages(messages, before)

    def _settle(self, pubacks: list[mqtt5.PubAckPacket]) -> None:
        """We publish nothing."""

    def _lost(self) -> None:
        self.inbox.connected()
