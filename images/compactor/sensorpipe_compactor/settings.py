"""The compactor's settings, all from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from sensorpipe_schema.kafka import KafkaSettings
from sensorpipe_schema.mqtt.endpoint import Endpoint
from sensorpipe_schema.names import READINGS_FILTER
from sensorpipe_schema.settings import Environment


@dataclass(frozen=True, slots=True)
class Settings:
    """What a compactor needs to know."""

    mqtt: Endpoint
    client_id: str
    """Names the broker's session and, in partials, the compactor: one active process for each."""
    topic_filter: str
    kafka: KafkaSettings
    window_ms: int
    lateness_ms: int
    http: tuple[str, int]
    log_level: str

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "Settings":
        """Read the environment; raise SettingsError naming each variable that is wrong."""
        env = Environment(variables)
        settings = cls(
            mqtt=Endpoint.read(env),
            client_id=env.text("SENSORPIPE_MQTT_CLIENT_ID", "sensorpipe-compactor"),
            topic_filter=env.text("SENSORPIPE_MQTT_TOPIC", READINGS_FILTER),
            kafka=KafkaSettings.read(env),
            window_ms=env.milliseconds("SENSORPIPE_WINDOW", "10s"),
            lateness_ms=env.milliseconds("SENSORPIPE_LATENESS", "2s"),
            http=env.address("SENSORPIPE_HTTP", "0.0.0.0:9090"),
            log_level=env.log_level(),
        )
        env.check()
        return settings
