"""The real parts that tests run against, each on a loopback port of its own.

A part that is not on this machine skips the test and names the command that brings it.
"""

import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port

ROOT = Path(__file__).parents[2]
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

_SECURED_KAFKA = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=CLIENTS://127.0.0.1:{port},BROKERS://127.0.0.1:{brokers},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENTS://127.0.0.1:{port},BROKERS://127.0.0.1:{brokers},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=CLIENTS:SASL_SSL,BROKERS:SSL,CONTROLLER:SSL
controller.listener.names=CONTROLLER
inter.broker.listener.name=BROKERS
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.crt
listener.name.brokers.ssl.client.auth=required
listener.name.controller.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:CN=kafka;User:admin
allow.everyone.if.no.acl.found=false
log.dirs={folder}/data
num.partitions=3
auto.create.topics.enable=true
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
default.replication.factor=1
"""
"""As Strimzi's: users by SCRAM over TLS, and nothing that no ACL allows."""

MOSQUITTO_TUNED = """\
max_inflight_messages 0
max_queued_messages 0
max_queued_bytes 0
"""
"""For this work: the protocol's own in-flight limit, and no queued message dropped."""


def mosquitto(
    folder: Path, extra: str = MOSQUITTO_TUNED, port: int | None = None, *, anonymous: bool = True
) -> Child:
    """Return Mosquitto; with `extra=""` on its default settings."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        pytest.skip("no Mosquitto here; `apt-get install mosquitto mosquitto-clients` brings it")
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    config = folder / "mosquitto.conf"
    # root would become the user `mosquitto`, who may not read a test's folder
    user = "user root\n" if os.geteuid() == 0 else ""
    allow = f"allow_anonymous {str(anonymous).lower()}\n"
    config.write_text(f"{user}listener {port} 127.0.0.1\n{allow}{extra}")
    return Child("mosquitto", [program, "-c", str(config)], folder / "mosquitto.log", port=port)


def kafka(folder: Path, log: Path | None = None) -> Child:
    """Return Apache Kafka 4.3.1, formatted; started again it keeps its data and port."""
    port = free_port()
    properties = _KAFKA.format(port=port, controller=free_port(), data=folder / "data")
    return _kafka(folder, port, properties, log=log)


def secured_kafka(folder: Path, users: Mapping[str, str]) -> Child:
    """Return Kafka with these users by password, `admin` among them; `ca.crt` in its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _certify(folder)
    ports = {"port": free_port(), "brokers": free_port(), "controller": free_port()}
    scram = [
        argument
        for name, password in users.items()
        for argument in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
    ]
    return _kafka(folder, ports["port"], _SECURED_KAFKA.format(folder=folder, **ports), *scram)


def _kafka(
    folder: Path, port: int, properties: str, *format_options: str, log: Path | None = None
) -> Child:
    java = shutil.which("java")
    if java is None or not list(KAFKA_LIBS.glob("kafka_2.13-*.jar")):
        pytest.skip("no Kafka here; `make test-kafka` brings it (Java 17 and Maven)")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "server.properties"
    config.write_text(properties)
    _format_kafka(java, config, *format_options)
    argv = [java, "-Xmx512m", "-Xms512m", "-XX:+UseSerialGC", "-cp", f"{KAFKA_LIBS}/*"]
    argv += ["kafka.Kafka", str(config)]
    return Child("kafka", argv, log or folder / "kafka.log", port=port)


def empty_kafka(folder: Path) -> None:
    """Have the Kafka of a folder, which does not run, begin anew: all of its data is gone."""
    shutil.rmtree(folder / "data")
    _format_kafka(shutil.which("java") or "java", folder / "server.properties")


def _format_kafka(java: str, config: Path, *options: str) -> None:
    command = [java, "-cp", f"{KAFKA_LIBS}/*", "kafka.tools.StorageTool", "format", "--standalone"]
    command += ["-t", str(uuid.uuid4()), "-c", str(config), *options]
    subprocess.run(command, check=True, capture_output=True)


def _certify(folder: Path) -> None:
    """Make a certificate for 127.0.0.1 that is its own authority."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here; `apt-get install openssl` brings it")
    key, certificate = folder / "broker.key", folder / "ca.crt"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=kafka", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "broker.pem").write_text(key.read_text() + certificate.read_text())


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


MOSQUITTO_ACL = """\
user generator
topic write sensor_readings/#

user compactor
topic read sensor_readings/#
topic read $SYS/broker/publish/messages/dropped
"""


def secured_mosquitto(folder: Path, users: Mapping[str, str], acl: str = MOSQUITTO_ACL) -> Child:
    """Return Mosquitto with these users by password, and what each may do."""
    passwd = shutil.which("mosquitto_passwd")
    if passwd is None:
        pytest.skip("no mosquitto_passwd here; `apt-get install mosquitto` brings it")
    folder.mkdir(parents=True, exist_ok=True)
    passwords, acls = folder / "passwords", folder / "acl"
    passwords.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
    subprocess.run([passwd, "-U", str(passwords)], check=True, capture_output=True)
    acls.write_text(acl)
    files = f"password_file {passwords}\nacl_file {acls}\n"
    return mosquitto(folder, f"{files}{MOSQUITTO_TUNED}", anonymous=False)


@asynccontextmanager
async def running(child: Child) -> AsyncIterator[Child]:
    """Start a service, wait until it listens, and stop it afterwards."""
    await child.start()
    try:
        await child.listening(180)
        yield child
    finally:
        await child.stop()
