"""The limit of the compactor: its MQTT link, with nothing behind it but acknowledgements."""

import os
from collections.abc import Sequence

import uvloop
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_runtime.mqtt.subscriber import Subscriber
from sensorpipe_runtime.service import tune_garbage_collection


class OnlyAcknowledging:
    """Acknowledges every batch at once."""

    def __init__(self) -> None:
        self.subscriber = Subscriber(
            Endpoint.parse(os.environ["SENSORPIPE_MQTT_URL"]),
            os.environ["SENSORPIPE_MQTT_CLIENT_ID"],
            ["sensor_readings/#"],
            self,
        )

    def on_messages(self, messages: Sequence[Message], before: int) -> None:
        """Acknowledge them."""
        self.subscriber.acknowledge(before + len(messages))

    def on_connected(self, *, session_present: bool) -> None:
        """Nothing to do: the session is there."""


tune_garbage_collection()
uvloop.run(OnlyAcknowledging().subscriber.run())
