"""MQTT clients as devices have them: paho, with TLS, a user, and QoS 1 until it is acknowledged."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from support.waiting import eventually

SECONDS = 600
"""Seconds for which a session outlives its connection."""


class MqttClient:
    """A client with a session of its own, that connects again by itself."""

    def __init__(self, user: str, password: str, client_id: str, ca: Path | None = None) -> None:
        self.client_id = client_id
        self.connections = 0
        """Number of times that the broker accepted it."""
        self.refusals: list[str] = []
        """Why the broker did not accept it."""
        self.acknowledged: set[int] = set()
        """Message ids of what it published and the broker has."""
        self.received: list[bytes] = []
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.username_pw_set(user, password)
        self._client.reconnect_delay_set(1, 1)
        if ca is not None:
            self._client.tls_set(str(ca), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self._client.on_connect = self._on_connect
        self._client.on_publish = lambda *given: self.acknowledged.add(given[2])
        self._client.on_message = lambda *given: self.received.append(given[2].payload)
        self._client.on_subscribe = self._on_subscribe
        self._topic, self._ready = "", False

    @asynccontextmanager
    async def connected(
        self, port: int, topic: str = "", *, clean: bool = False
    ) -> AsyncIterator["MqttClient"]:
        """Connect, subscribe to a topic if one is given, and disconnect at the end."""
        self._topic, self._ready = topic, False
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SECONDS
        self._client.connect_async("localhost", port, clean_start=clean, properties=properties)
        self._client.loop_start()
        try:
            await eventually(lambda: self._ready or self.refusals)
            yield self
        finally:
            await asyncio.to_thread(self._end)

    def publish(self, topic: str, payload: str) -> int:
        """Publish with QoS 1, now or when there is a connection; return the message id."""
        return self._client.publish(topic, payload, qos=1).mid

    def leave(self, topic: str, payload: str) -> None:
        """Leave a will with the broker, which publishes it if the connection breaks."""
        self._client.will_set(topic, payload, qos=1)

    def break_off(self) -> None:
        """End the connection without saying so, and stay away."""
        self._client.loop_stop()
        socket = self._client.socket()
        assert socket is not None
        socket.close()

    def _end(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, *given: Any) -> None:
        reason = given[3]
        if reason.is_failure:
            self.refusals.append(str(reason))
            return
        self.connections += 1
        self._ready = not self._topic
        if self._topic:
            self._client.subscribe(self._topic, qos=1)

    def _on_subscribe(self, *_: Any) -> None:
        self._ready = True
