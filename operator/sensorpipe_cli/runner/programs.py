"""The programs of a run, and the environment of each."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sensorpipe_cli.runner.ports import LOOPBACK

_PREFIX: Final = "SENSORPIPE_"
_COMPACTOR_NAME: Final = {f"{_PREFIX}COMPACTOR_NAME", f"{_PREFIX}COMPACTOR_NAME_FILE"}


@dataclass(frozen=True, slots=True)
class Services:
    """Addresses of the three services, embedded or the user's own."""

    mqtt: str
    """URL of the MQTT broker."""
    kafka: str
    """Bootstrap addresses of Kafka: `HOST:PORT`, separated by commas."""
    mongodb: str
    """URI of the database."""


@dataclass(frozen=True, slots=True)
class Program:
    """One of the pipeline's own programs: its command and its HTTP ports."""

    name: str
    """Name in output and log files."""
    argv: tuple[str, ...]
    """Command and arguments."""
    environ: Mapping[str, str]
    """Environment variables, all of them."""
    port: int
    """HTTP port: of the API, or of metrics and health."""
    monitoring_port: int | None = None
    """Port of metrics and health, if not `port`."""

    @property
    def url(self) -> str:
        """HTTP address of the program, without a slash at the end."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def monitoring_url(self) -> str:
        """HTTP address of its metrics and health, without a slash at the end."""
        return f"http://{LOOPBACK}:{self.monitoring_port or self.port}"


def server(
    services: Services, port: int, monitoring_port: int, inherited: Mapping[str, str]
) -> Program:
    """Return the server, with its API at `port`, metrics and health at `monitoring_port`."""
    variables = {
        "KAFKA_BOOTSTRAP": services.kafka,
        "MONGODB_URI": services.mongodb,
        "MONITORING": f"{LOOPBACK}:{monitoring_port}",
    }
    program = _program("server", "sensorpipe_server", port, inherited, variables)
    return replace(program, monitoring_port=monitoring_port)


def compactor(
    services: Services,
    port: int,
    inherited: Mapping[str, str],
    client_id: str | None = None,
    feeds: Path | None = None,
) -> Program:
    """Return the compactor, with metrics and health at `port` and the Feeds of a folder.

    Without `client_id`, the inherited settings determine the MQTT client id.
    """
    variables = {"MQTT_URL": services.mqtt, "KAFKA_BOOTSTRAP": services.kafka}
    if client_id is not None:
        variables["MQTT_CLIENT_ID"] = client_id
        if inherited.keys().isdisjoint(_COMPACTOR_NAME):
            variables["COMPACTOR_NAME"] = "sensorpipe-compactor"
    if feeds is not None:
        variables["FEEDS"] = str(feeds)
    return _program("compactor", "sensorpipe_compactor", port, inherited, variables)


def generator(
    name: str, sensor: Path, services: Services, port: int, inherited: Mapping[str, str]
) -> Program:
    """Return the generator of the Sensor in a file, with metrics and health at `port`."""
    variables = {"MQTT_URL": services.mqtt, "SENSOR": str(sensor)}
    return _program(f"generator {name}", "sensorpipe_generator", port, inherited, variables)


def shared_environment(environ: Mapping[str, str], external: frozenset[str]) -> dict[str, str]:
    """Return the environment that all programs share.

    Settings of a service (`MQTT`, `KAFKA`, `MONGODB`) pass only if it is among the `external`
    ones: a password or a CA file for an external service does not apply to the embedded one.
    """
    embedded = tuple(f"{_PREFIX}{group}_" for group in ("MQTT", "KAFKA", "MONGODB"))
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(embedded) or name.removeprefix(_PREFIX).split("_")[0] in external
    }


def _program(
    name: str, module: str, port: int, shared: Mapping[str, str], variables: Mapping[str, str]
) -> Program:
    settings = {f"{_PREFIX}{key}": value for key, value in variables.items()}
    settings[f"{_PREFIX}HTTP"] = f"{LOOPBACK}:{port}"
    files = {f"{key}_FILE" for key in settings}  # a value and a file would contradict each other
    environ = {key: value for key, value in shared.items() if key not in files} | settings
    return Program(name, (sys.executable, "-P", "-m", module), environ, port)
