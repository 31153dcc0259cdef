"""The compactor's settings, all from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from sensorpipe_runtime.kafka.client import COMPRESSIONS, DEFAULT_COMPRESSION, KafkaSettings
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.settings import Environment
from sensorpipe_schema.names import READINGS_FILTER
from sensorpipe_schema.topic_filters import overlapping

from sensorpipe_compactor.windowing.sources import DEFAULT_BYTES, LEAST_BYTES

MAX_SOURCE_BYTES: Final = 2**40
"""Largest number that the setting `SENSORPIPE_SOURCE_BYTES` takes."""

_MAX_NAME: Final = 128

_NAME: Final = "sensorpipe-compactor"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a compactor needs to know."""

    mqtt: Endpoint
    """Address of the MQTT broker: `mqtt[s]://[USER:PASSWORD@]HOST[:PORT]`."""
    client_id: str = field(repr=False)
    """Names the broker's session: whoever connects with it takes the session, so it is a secret."""
    name: str
    """Names the compactor in partials, fences and logs: one active process for each."""
    topic_filters: tuple[str, ...]
    """MQTT filters of the readings that it takes, separated by commas; no shared subscriptions."""
    taking_over: bool
    """Whether another compactor takes the same topics, too: then each reading is itemized."""
    kafka: KafkaSettings
    compression: str
    """Codec of what is written to Kafka; all that read the topic must have it."""
    window_ms: int
    """Length of a window of event time."""
    lateness_ms: int
    """How long, in event time, a window waits after its end for late readings."""
    source_bytes: int
    """Memory for sources that are remembered, in bytes, about 900 for each; what others send again
    is itemized."""
    http: tuple[str, int]
    """Where metrics and health listen, `HOST:PORT`."""
    feeds: Path | None
    """Folder with Feed files, looked at every few seconds; none if devices send only readings."""
    log_level: str
    """Least severe level that is logged."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Read the environment; raise SettingsError naming each variable that is wrong."""
        env = Environment(environ)
        client_id = env.parse("SENSORPIPE_MQTT_CLIENT_ID", _client_id, _NAME)
        settings = cls(
            mqtt=Endpoint.read(env),
            client_id=client_id,
            name=env.parse("SENSORPIPE_COMPACTOR_NAME", _name, client_id or _NAME),
            topic_filters=env.parse("SENSORPIPE_MQTT_TOPIC", _topic_filters, READINGS_FILTER),
            taking_over=env.choice("SENSORPIPE_TAKING_OVER", "false", ("true", "false")) == "true",
            kafka=KafkaSettings.read(env),
            compression=env.choice(
                "SENSORPIPE_KAFKA_COMPRESSION", DEFAULT_COMPRESSION, COMPRESSIONS
            ),
            window_ms=env.milliseconds("SENSORPIPE_WINDOW", "10s"),
            lateness_ms=env.milliseconds("SENSORPIPE_LATENESS", "2s"),
            source_bytes=env.whole(
                "SENSORPIPE_SOURCE_BYTES", DEFAULT_BYTES, LEAST_BYTES, MAX_SOURCE_BYTES
            ),
            http=env.address("SENSORPIPE_HTTP", "0.0.0.0:9090"),
            feeds=env.parse("SENSORPIPE_FEEDS", _folder, ""),
            log_level=env.log_level(),
        )
        env.check()
        return settings


def _folder(text: str) -> Path | None:
    if not text:
        return None
    path = Path(text)
    if not path.is_dir():
        raise ValueError(f"must be a folder with Feed files; got {text!r}")
    return path


def _client_id(text: str) -> str:
    if not _is_name(text):  # without the text: it is a secret
        raise ValueError(f"must be 1 to {_MAX_NAME} printable ASCII characters")
    return text


def _name(text: str) -> str:
    if not _is_name(text):
        raise ValueError(f"must be 1 to {_MAX_NAME} printable ASCII characters; got {text!r}")
    return text


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _MAX_NAME and text.isascii() and text.isprintable()


def _topic_filters(text: str) -> tuple[str, ...]:
    """Return filters that were separated by commas; the broker may deliver overlaps twice."""
    filters = tuple(_topic_filter(part.strip()) for part in text.split(","))
    if pair := overlapping(filters):
        raise ValueError(f"must not overlap; {pair[0]!r} and {pair[1]!r} take the same topics")
    return filters


def _topic_filter(text: str) -> str:
    levels = text.split("/")
    if text.startswith("$share/"):
        raise ValueError(
            "must not be shared: what one member made durable, another would not know; "
            "give each compactor a filter of its own"
        )
    if (
        not text
        or not text.isprintable()
        or any(level not in {"+", "#"} and ("+" in level or "#" in level) for level in levels)
        or "#" in levels[:-1]
    ):
        raise ValueError(f"must be an MQTT topic filter such as {READINGS_FILTER}; got {text!r}")
    return text
