"""The generator's settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from sensorpipe_schema.mqtt.endpoint import Endpoint
from sensorpipe_schema.sensor import Sensor
from sensorpipe_schema.sensor_file import load_files
from sensorpipe_schema.settings import Environment


@dataclass(frozen=True, slots=True)
class Settings:
    """What one generator needs to know."""

    sensor: Sensor
    mqtt: Endpoint
    http: tuple[str, int]
    buffer: int
    """Readings held until the broker acknowledges them, at the most."""
    give_up_after_ms: int
    """How far behind the schedule a reading may be published."""
    drain_ms: int
    """How long to wait for acknowledgements at the end."""
    log_level: str

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Read `SENSORPIPE_*`, or raise SettingsError."""
        env = Environment(environ)
        settings = cls(
            sensor=env.parse("SENSORPIPE_SENSOR", _only_sensor),
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
        raise ValueError(f"must name a file of exactly one Sensor; {path} holds {len(sensors)}")
    if sensors[0].spec.suspend:
        raise ValueError(f"must name a Sensor that is to run; {path} says suspend: true")
    return sensors[0]
