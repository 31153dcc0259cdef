"""The pipeline with a user of its own for each program, who may do the least that suffices."""

import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DescribeAclsRequest
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_runtime.kafka.client import PARTITIONS, KafkaSettings
from sensorpipe_schema.names import (
    COMPACTED,
    DEAD_COMPACTED,
    DEAD_READINGS,
    SERVER_GROUP,
)
from support import services
from support.pipeline import Pipeline, ask_status, monitoring_url, own_monitoring
from support.waiting import eventually, in_thread

KAFKA_USERS = {"admin": "kafka-admin", "compactor": "kafka-compactor", "server": "kafka-server"}
MQTT_USERS = {"generator": "mqtt-generator", "compactor": "mqtt-compactor"}
MONGODB_USERS = {"admin": "mongodb-admin", "server": "mongodb-server"}

TOPICS = (COMPACTED, DEAD_READINGS, DEAD_COMPACTED)

Acls = Mapping[tuple[str, str], Iterable[str]]
COMPACTOR_ACLS: Acls = {
    ("topic", COMPACTED): ["Read", "Write", "DescribeConfigs"],
    ("topic", DEAD_READINGS): ["Write", "DescribeConfigs"],
}
SERVER_ACLS: Acls = {
    ("topic", COMPACTED): ["Read", "DescribeConfigs"],
    ("topic", DEAD_COMPACTED): ["Read", "Write"],
    ("topic", DEAD_READINGS): ["Read"],
    ("group", SERVER_GROUP): ["Read"],
}
"""Read and Write imply Describe."""

_RESOURCES = {"topic": 2, "group": 3, "cluster": 4}
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_LITERAL = _ALLOW = 3


def kafka_settings(kafka: Child, user: str, password: str | None = None) -> KafkaSettings:
    """Return how a user reaches the secured Kafka."""
    return KafkaSettings(
        f"127.0.0.1:{kafka.port}",
        "SASL_SSL",
        "SCRAM-SHA-512",
        user,
        password or KAFKA_USERS[user],
        str(kafka.log.parent / "ca.crt"),
    )


@asynccontextmanager
async def kafka_admin(kafka: Child) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**kafka_settings(kafka, "admin").client_options())
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def allow(kafka: Child, user: str, acls: Acls) -> None:
    """Let a user do this, as Strimzi's user operator does, and wait until the broker knows it.

    The controller answers before that.
    """
    async with kafka_admin(kafka) as admin:
        for (resource, name), operations in acls.items():
            for operation in operations:
                what = (_RESOURCES[resource], name, _LITERAL, f"User:{user}", "*")
                request = CreateAclsRequest(*what, _OPERATIONS[operation], _ALLOW)
                answer = await admin._send_to_controller(request)
                for code, detail in answer.creation_responses:
                    assert not code, (for_code(code), detail)
                known = DescribeAclsRequest(*what, _OPERATIONS[operation], _ALLOW)
                await eventually(partial(_is_known, admin, known))


async def _is_known(admin: AIOKafkaAdminClient, acl: DescribeAclsRequest) -> bool:
    """Return whether the broker's authorizer has an ACL."""
    return bool((await admin._send_request(acl)).resources)


async def create(kafka: Child, *topics: str) -> None:
    """Create topics, as Strimzi's topic operator does; return once the broker knows them."""
    async with kafka_admin(kafka) as admin:
        answer = await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in topics])
        assert not [error for error in answer.topic_errors if error[1]]

        async def are_known() -> bool:
            return set(topics) <= set(await admin.list_topics())

        await eventually(are_known)


class Secured(Pipeline):
    """Secured services, and programs whose passwords come from files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            services.secured_mosquitto(folder / "mosquitto", MQTT_USERS),
            services.secured_kafka(folder / "kafka", KAFKA_USERS),
        )
        self.mongodb = services.secured_mongod(folder / "mongodb")
        self.compactor = self._program("compactor", free_port())
        self.server = self._program("server", free_port(), **own_monitoring())
        self.provision = self._provision(free_port())

    def secret(self, name: str, text: str) -> str:
        """Write a Secret's file; return its path."""
        path = self.folder / f"{name}.secret"
        path.write_text(text)
        return str(path)

    def mqtt_url(self, user: str, password: str | None = None) -> str:
        return f"mqtt://{user}:{password or MQTT_USERS[user]}@127.0.0.1:{self.mqtt.port}"

    def mongodb_uri(self, password: str = MONGODB_USERS["server"]) -> str:
        where = f"127.0.0.1:{self.mongodb.port}/sensorpipe?replicaSet=sensorpipe"
        return f"mongodb://sensorpipe-server:{password}@{where}"

    def environ(self, name: str) -> dict[str, str]:
        """Return the settings of a program; each is given the passwords that it needs."""
        ours: dict[str, str] = {}
        if name in MQTT_USERS:
            ours["SENSORPIPE_MQTT_URL_FILE"] = self.secret(f"mqtt-{name}", self.mqtt_url(name))
        if name in KAFKA_USERS:
            kafka = kafka_settings(self.kafka, name)
            ours |= {
                "SENSORPIPE_KAFKA_BOOTSTRAP": kafka.bootstrap,
                "SENSORPIPE_KAFKA_SECURITY": kafka.security,
                "SENSORPIPE_KAFKA_MECHANISM": kafka.mechanism,
                "SENSORPIPE_KAFKA_USERNAME": name,
                "SENSORPIPE_KAFKA_PASSWORD_FILE": self.secret(f"kafka-{name}", KAFKA_USERS[name]),
                "SENSORPIPE_KAFKA_CA_FILE": str(kafka.ca_file),
            }
        if name == "server":
            ours["SENSORPIPE_MONGODB_URI_FILE"] = self.secret("mongodb-uri", self.mongodb_uri())
        return ours

    def _program(self, name: str, port: int, log: str | None = None, **extra: str) -> Child:
        argv = [sys.executable, "-m", f"sensorpipe_{name}"]
        http = {"SENSORPIPE_HTTP": f"127.0.0.1:{port}", "SENSORPIPE_MONITORING": "127.0.0.1:0"}
        environ = os.environ | self.environ(name) | http | extra
        path = self.folder / f"{log or name}.log"
        return Child(log or name, argv, path, environ=environ, port=port)

    def _provision(self, port: int) -> Child:
        return self._program(
            "server.provision",
            port,
            "provision",
            SENSORPIPE_MONGODB_ADMIN_PASSWORD_FILE=self.secret("admin", MONGODB_USERS["admin"]),
            SENSORPIPE_MONGODB_PASSWORD_FILE=self.secret("server", MONGODB_USERS["server"]),
            SENSORPIPE_MONGODB_HOST=f"127.0.0.1:{self.mongodb.port}",
        )

    async def start_services(self) -> None:
        """Start all that the programs need, MongoDB provisioned, Kafka without topics and ACLs."""
        for child in (self.mqtt, self.kafka, self.mongodb, self.provision):
            await child.start()
        for child in (self.mqtt, self.kafka, self.mongodb):
            await child.listening()
        await self.ready(self.provision)

    async def start(self) -> None:
        """Start everything but generators, and wait until it is ready."""
        await self.start_services()
        await create(self.kafka, *TOPICS)
        await allow(self.kafka, "compactor", COMPACTOR_ACLS)
        await allow(self.kafka, "server", SERVER_ACLS)
        for child in (self.server, self.compactor):
            await child.start()
        for child in (self.server, self.compactor):
            await self.ready(child)

    async def stop(self) -> None:
        """Stop everything that still runs."""
        await super().stop()
        await self.provision.stop()


@asynccontextmanager
async def secured(folder: Path) -> AsyncIterator[Secured]:
    """Have secured services and programs, nothing of it started."""
    parts = Secured(folder)
    try:
        yield parts
    finally:
        await parts.stop()


def warnings_of(child: Child) -> list[dict[str, Any]]:
    """Return what a program logged beyond what is usual; every line is one JSON object."""
    lines = [json.loads(line) for line in child.log.read_text().splitlines()]
    return [line for line in lines if line["level"] not in {"info", "debug"}]


async def told(child: Child, *texts: str) -> None:
    """Wait until a program has warned of something in one line, which names all of this."""

    def found() -> bool:
        return any(all(text in str(line) for text in texts) for line in warnings_of(child))

    await eventually(in_thread(found), state=child.tail)


def waits(child: Child) -> bool:
    """Whether a program is alive, and says that it is not ready."""
    url = monitoring_url(child)
    return (ask_status(f"{url}/healthz"), ask_status(f"{url}/readyz")) == (200, 503)
