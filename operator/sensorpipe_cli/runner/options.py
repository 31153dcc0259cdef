"""The options of `sensorpipe up`, checked as far as possible before anything starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.settings import Environment, SettingsError

from sensorpipe_cli.runner.ports import LOOPBACK, accepts, is_free

_REACH_SECONDS: Final = 3.0
"""Longest wait for a connection to a service of the user."""
_MONGODB_SCHEMES: Final = ("mongodb://", "mongodb+srv://")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `sensorpipe up`; None for a service means the embedded one."""

    files: tuple[Path, ...] = ()
    """Sensor files and folders; empty means the demo."""
    seconds: float | None = None
    """Duration of the run in seconds; None means until Ctrl-C."""
    port: int = 8080
    """Port of the API; 0 means any free port."""
    data: Path | None = None
    """Folder for MongoDB's data and the logs; None means a temporary one."""
    mqtt: str | None = None
    """URL of the user's own MQTT broker."""
    kafka: str | None = None
    """Bootstrap addresses of the user's own Kafka, separated by commas."""
    mongodb: str | None = None
    """URI of the user's own MongoDB."""
    tty: bool = True
    """Whether a live view may be shown."""


def window_seconds(environ: Mapping[str, str]) -> float:
    """Return how long a window stays open in seconds, lateness included; raise SettingsError."""
    env = Environment(environ)
    window = env.milliseconds("SENSORPIPE_WINDOW", "10s")
    lateness = env.milliseconds("SENSORPIPE_LATENESS", "2s")
    env.check()
    return (window + lateness) / 1000


def problems(options: Options) -> list[str]:
    """Return the reasons why these options cannot be used on this machine, one line each."""
    found = [*_services(options)]
    try:
        window_seconds(os.environ)
    except SettingsError as error:
        found += error.problems
    if options.port and not is_free(options.port):
        found.append(
            f"--port: {options.port} is in use on {LOOPBACK} (by another run?); "
            "choose another port, or 0 for any free port"
        )
    if options.data is not None:
        try:
            options.data.mkdir(parents=True, exist_ok=True)
            (options.data / ".writable").touch()
            (options.data / ".writable").unlink()
        except OSError as error:
            found.append(f"--data: {options.data} cannot be written to: {error.strerror}")
    return found


def _services(options: Options) -> list[str]:
    found: list[str] = []
    if options.mqtt is not None:
        try:
            broker = Endpoint.parse(options.mqtt)
        except ValueError as error:
            found.append(f"--mqtt: {error}")
        else:
            found += _reach("--mqtt", [(broker.host, broker.port)])
    if options.kafka is not None:
        try:
            found += _reach("--kafka", [_host_port(server) for server in options.kafka.split(",")])
        except SettingsError as error:
            found += error.problems
    if options.mongodb is not None and not options.mongodb.startswith(_MONGODB_SCHEMES):
        form = "must be mongodb://HOST:PORT/DATABASE or mongodb+srv://HOST/DATABASE"
        found.append(f"--mongodb: {form}")
    return found


def _host_port(text: str) -> tuple[str, int]:
    env = Environment({"--kafka": text.strip()})
    address = env.address("--kafka", "")
    env.check()
    return address


def _reach(option: str, addresses: list[tuple[str, int]]) -> list[str]:
    if any(accepts(host, port, _REACH_SECONDS) for host, port in addresses):
        return []
    named = ", ".join(f"{host}:{port}" for host, port in addresses)
    return [f"{option}: nothing accepts connections at {named}"]
