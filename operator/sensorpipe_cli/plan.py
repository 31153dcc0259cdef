"""Which programs a run consists of, and the environment each one gets (DESIGN 6)."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensorpipe_cli.ports import LOOPBACK

_PREFIX: Final = "SENSORPIPE_"
_COMPACTOR_NAME: Final = {f"{_PREFIX}COMPACTOR_NAME", f"{_PREFIX}COMPACTOR_NAME_FILE"}


@dataclass(frozen=True, slots=True)
class Services:
    """Where the three services are, embedded or the user's own."""

    mqtt: str
    kafka: str
    mongodb: str


@dataclass(frozen=True, slots=True)
class Program:
    """One of the pipeline's own programs: what to run and where it answers over HTTP."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    port: int

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://{LOOPBACK}:{self.port}"


def server(services: Services, port: int, inherited: Mapping[str, str]) -> Program:
    """Plan the server, whose API is at `port`."""
    variables = {"KAFKA_BOOTSTRAP": services.kafka, "MONGODB_URI": services.mongodb}
    return _program("server", "sensorpipe_server", port, inherited, variables)


def compactor(
    services: Services, port: int, inherited: Mapping[str, str], client_id: str | None = None
) -> Program:
    """Plan the compactor, whose metrics are at `port`.

    Without a `client_id` the inherited settings name the broker's session.
    """
    variables = {"MQTT_URL": services.mqtt, "KAFKA_BOOTSTRAP": services.kafka}
    if client_id is not None:
        variables["MQTT_CLIENT_ID"] = client_id
        if inherited.keys().isdisjoint(_COMPACTOR_NAME):
            variables["COMPACTOR_NAME"] = "sensorpipe-compactor"
    return _program("compactor", "sensorpipe_compactor", port, inherited, variables)


def generator(
    name: str, sensor: Path, services: Services, port: int, inherited: Mapping[str, str]
) -> Program:
    """Plan the generator of one Sensor, read from the file `sensor`; its metrics are at `port`."""
    variables = {"MQTT_URL": services.mqtt, "SENSOR": str(sensor)}
    return _program(f"generator {name}", "sensorpipe_generator", port, inherited, variables)


def inherited(environ: Mapping[str, str], own: frozenset[str]) -> dict[str, str]:
    """Return the environment that all programs share.

    Settings of a service (`MQTT`, `KAFKA`, `MONGODB`) pass only if it is among the user's
    `own`: a password or a CA file meant for it says nothing about the embedded one.
    """
    embedded = tuple(f"{_PREFIX}{group}_" for group in ("MQTT", "KAFKA", "MONGODB"))
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(embedded) or name.removeprefix(_PREFIX).split("_")[0] in own
    }


def _program(
    name: str, module: str, port: int, shared: Mapping[str, str], variables: Mapping[str, str]
) -> Program:
    given = {f"{_PREFIX}{key}": value for key, value in variables.items()}
    given[f"{_PREFIX}HTTP"] = f"{LOOPBACK}:{port}"
    files = {f"{key}_FILE" for key in given}  # a value and a file would contradict each other
    environ = {key: value for key, value in shared.items() if key not in files} | given
    return Program(name, (sys.executable, "-P", "-m", module), environ, port)
