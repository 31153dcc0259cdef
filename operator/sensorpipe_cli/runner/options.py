"""The options of `sensorpipe up`, checked as far as possible before anything starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.settings import Environment, SettingsError

from sensorpipe_cli.runner.ports import LOOPBACK, accepts, is_free, is_free_at

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
    listen: str | None = None
    """Address at which devices connect, `HOST` or `HOST:PORT`; None means loopback."""
    tty: bool = True
    """Whether a live view may be shown."""


def window_seconds(environ: Mapping[str, str]) -> float:
    """Return how long a window stays open in seconds, lateness included; raise SettingsError."""
    env = Environment(environ)
    window = env.milliseconds("SENSORPIPE_WINDOW", "10s")
    lateness = env.milliseconds("SENSORPIPE_LATENESS", "2s")
    env.check()
    return (window + lateness) / 1000


DEVICE_PORT: Final = 1883
"""Port at which devices connect, if it is free."""

_DEVICE_PORTS: Final = range(DEVICE_PORT, DEVICE_PORT + 100)


def device_address(listen: str | None) -> tuple[str, int]:
    """Return where devices connect: port 1883 or the next that is free, unless one is given.

    Raises ValueError if that cannot be listened on.
    """
    host, given, port = (listen or LOOPBACK).partition(":")
    if given and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):  # noqa: PLR2004  TCP's
        raise ValueError(f"must be HOST or HOST:PORT; got {listen!r}")
    candidates = [int(port)] if given else _DEVICE_PORTS
    for candidate in candidates:
        if is_free_at(host, candidate):
            return host, candidate
    ports = port or f"{_DEVICE_PORTS[0]} to {_DEVICE_PORTS[-1]}"
    raise ValueError(
        f"cannot listen on {host}, port {ports}: in use, or not this machine's address"
    )


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
    if options.mqtt is None:
        try:
            device_address(options.listen)
        except ValueError as error:
            found.append(f"--listen: {error}")
    elif options.listen is not None:
        found.append("--listen: devices connect to the broker that --mqtt names")
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
