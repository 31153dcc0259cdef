"""The generator's settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.settings import Environment
from sensorpipe_schema.manifest_files import load_files
from sensorpipe_schema.sensor import Sensor


@dataclass(frozen=True, slots=True)
class Share:
    """One generator's share of a Sensor's devices, which several generators can divide."""

    index: int
    """Number of this generator, from 0."""
    generators: int
    """Number of generators that share the devices."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `INDEX/GENERATORS`; raise ValueError."""
        parts = text.split("/")
        if len(parts) == 2 and all(part.isascii() and part.isdecimal() for part in parts):  # noqa: PLR2004  INDEX and GENERATORS
            index, generators = map(int, parts)
            if index < generators:
                return cls(index, generators)
        raise ValueError(f"must be INDEX/GENERATORS, such as 0/3; got {text!r}")

    def of(self, count: int) -> range:
        """Return its devices; each of `count` devices is in exactly one share."""
        first, last = (i * count // self.generators for i in (self.index, self.index + 1))
        return range(first, last)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a generator."""

    sensor: Sensor
    """Path of a file with exactly one Sensor, in YAML or JSON."""
    share: Share
    """Which share of the devices is simulated: `0/1` all, `1/3` the second of three shares."""
    mqtt: Endpoint
    """Address of the MQTT broker: `mqtt[s]://[USER:PASSWORD@]HOST[:PORT]`."""
    http: tuple[str, int]
    """Address and port of `/metrics`, `/healthz` and `/readyz`: `HOST:PORT`."""
    buffer: int
    """Largest number of readings kept until the broker acknowledges them."""
    give_up_after_ms: int
    """How long after its time a reading may still be published, in milliseconds."""
    drain_ms: int
    """Longest wait for acknowledgements at shutdown, in milliseconds."""
    log_level: str
    """Least severe level that is logged."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings from variables `SENSORPIPE_*`; raise SettingsError with all faults."""
        env = Environment(environ)
        settings = cls(
            sensor=env.parse("SENSORPIPE_SENSOR", _only_sensor),
            share=env.parse("SENSORPIPE_SHARE", Share.parse, "0/1"),
            mqtt=Endpoint.read(env),
            http=env.address("SENSORPIPE_HTTP", "0.0.0.0:9090"),
            buffer=env.whole("SENSORPIPE_BUFFER", 100_000, 100, 10_000_000),
            give_up_after_ms=env.milliseconds("SENSORPIPE_GIVE_UP_AFTER", "60s"),
            drain_ms=env.milliseconds("SENSORPIPE_DRAIN", "30s"),
            log_level=env.log_level(),
        )
        env.check()
        return settings


def _only_sensor(path: str) -> Sensor:
    sensors = load_files([path])
    if len(sensors) != 1:
        raise ValueError(f"must be a file with exactly one Sensor; {path} has {len(sensors)}")
    if not sensors[0].spec.runs:
        reason = "suspend: true" if sensors[0].spec.suspend else "replicas: 0"
        raise ValueError(f"must be a Sensor that is not stopped; {path} has {reason}")
    return sensors[0]
