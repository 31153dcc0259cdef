"""The real parts that tests run against, each on a loopback port of its own.

A part that is not on this machine skips the test and names the command that brings it.
"""

import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
from sensorpipe_cli import embedded
from sensorpipe_cli.child import Child, free_port

ROOT = Path(__file__).parent.parent
KAFKA_LIBS = Path(os.environ.get("SENSORPIPE_TEST_KAFKA_LIBS", ROOT / ".cache/kafka/libs"))

_KAFKA = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={data}
num.partitions=3
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
default.replication.factor=1
"""

MOSQUITTO_TUNED = """\
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes 0
"""
"""For this work: the protocol's own in-flight limit, and no queued message dropped."""


def mosquitto(folder: Path, extra: str = MOSQUITTO_TUNED, port: int | None = None) -> Child:
    """Return Mosquitto; with `extra=""` on its default settings."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        pytest.skip("no Mosquitto here; `apt-get install mosquitto mosquitto-clients` brings it")
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    config = folder / "mosquitto.conf"
    # root would become the user `mosquitto`, who may not read a test's folder
    user = "user root\n" if os.geteuid() == 0 else ""
    config.write_text(f"{user}listener {port} 127.0.0.1\nallow_anonymous true\n{extra}")
    return Child("mosquitto", [program, "-c", str(config)], folder / "mosquitto.log", port=port)


def kafka(folder: Path) -> Child:
    """Return Apache Kafka 4.3.1, formatted; started again it keeps its data and port."""
    java = shutil.which("java")
    if java is None or not list(KAFKA_LIBS.glob("kafka_2.13-*.jar")):
        pytest.skip("no Kafka here; `make test-kafka` brings it (Java 17 and Maven)")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = folder / "server.properties"
    config.write_text(_KAFKA.format(port=port, controller=free_port(), data=folder / "data"))
    classes = f"{KAFKA_LIBS}/*"
    command = [java, "-cp", classes, "kafka.tools.StorageTool", "format", "--standalone"]
    command += ["-t", str(uuid.uuid4()), "-c", str(config)]
    subprocess.run(command, check=True, capture_output=True)
    argv = [java, "-Xmx512m", "-Xms512m", "-XX:+UseSerialGC", "-cp", classes]
    argv += ["kafka.Kafka", str(config)]
    return Child("kafka", argv, folder / "kafka.log", port=port)


def secured_mongod(folder: Path, replica_set: str = "sensorpipe") -> Child:
    """Return a mongod as the chart runs it: users only, a replica set, nothing set up yet."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / "keyfile"
    key.write_text(uuid.uuid4().hex)
    key.chmod(0o600)
    child = embedded.mongod(free_port(), folder)
    child._argv += ["--auth", "--keyFile", str(key), "--replSet", replica_set]
    # a primary that is to end waits for clients to find another, which there never is
    child._argv += ["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"]
    return child
