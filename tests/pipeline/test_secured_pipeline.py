"""Each program with a user of its own, who may do its part and nothing else."""

import asyncio
from contextlib import closing, suppress
from datetime import datetime
from functools import partial
from itertools import combinations
from typing import Any

import mqtt5
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    TopicAuthorizationFailedError,
)
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure
from sensorpipe_runtime.kafka.client import MissingTopicsError, ensure_topics
from sensorpipe_runtime.kafka.topic_queries import TopicQueries
from sensorpipe_runtime.mqtt.connection import Connection
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.errors import RefusedError
from sensorpipe_runtime.mqtt.publisher import Publisher
from sensorpipe_runtime.mqtt.subscriber import Subscriber
from sensorpipe_runtime.throttled_log import SHOWN_EVERY
from sensorpipe_schema.names import (
    COMPACTED,
    DEAD_COMPACTED,
    DEAD_READINGS,
    SERVER_GROUP,
)
from support.pipeline import sensor
from support.pipeline_parts import metrics
from support.secured_parts import (
    COMPACTOR_ACLS,
    KAFKA_USERS,
    MONGODB_USERS,
    MQTT_USERS,
    SERVER_ACLS,
    TOPICS,
    Secured,
    allow,
    create,
    kafka_settings,
    secured,
    told,
    waits,
    warnings_of,
)
from support.waiting import eventually, in_thread

UNAUTHORIZED = 13


async def test_each_does_its_part_with_the_least_rights_and_nothing_else(tmp_path):
    async with secured(tmp_path) as parts:
        await parts.start()
        generator = await parts.generate(sensor("boiler", "facility_1", count=2, seed=1))
        await parts.ready(generator)
        await kafka_keeps_them_apart(parts)
        await mosquitto_keeps_them_apart(parts)
        await mongodb_keeps_them_apart(parts)
        await restarts_and_dead_letters(parts)
        await parts.finish_generators()
        published = parts.said(generator, "Generator stopped")["acknowledged"]
        await parts.compactor.stop()
        audit = await parts.stored(published)
        assert audit["totals"]["count"] == published
        assert (audit["totals"]["lost"], audit["totals"]["duplicates"]) == (0, 0)
        aside = audit["set_aside"]
        assert (aside["dead_letters"], aside["refused"]) == (1, 1)
        letters = await asyncio.to_thread(parts.api, "/api/dead-letters")
        assert letters["complete"]
        assert {each["reason"] for each in letters["data"]} == {"not_json", "not_protobuf"}
        shown = "".join(path.read_text() for path in tmp_path.glob("*.log"))
        for users in (KAFKA_USERS, MQTT_USERS, MONGODB_USERS):
            assert not [password for password in users.values() if password in shown]


async def restarts_and_dead_letters(parts: Secured) -> None:
    """What only some moments need of a right: to restore, to commit, to refuse."""
    await eventually(in_thread(lambda: metrics(parts.compactor).get("partials", 0) >= 3))
    for child in (parts.compactor, parts.server):
        await parts.restart(child)
        await parts.ready(child)
    assert parts.said(parts.compactor, "Run begun")
    async with publisher(parts.mqtt_url("generator")) as link:
        link.publish("sensor_readings/facility_1/boiler", [b"not a reading"])
        await link.drained()
        assert (link.acknowledged, link.refused) == (1, 0)
    async with producer(parts, "admin") as other:
        await other.send_and_wait(COMPACTED, b"not a partial")
    await eventually(
        in_thread(lambda: metrics(parts.compactor).get('dead_letters{reason="not_json"}') == 1),
        state=lambda: str(metrics(parts.compactor)) + parts.compactor.tail(),
    )
    await eventually(
        in_thread(lambda: any(name.startswith("dead_letters") for name in metrics(parts.server))),
        state=parts.server.tail,
    )
    assert any(name.startswith("consumer_lag_records") for name in metrics(parts.server))


async def kafka_keeps_them_apart(parts: Secured) -> None:
    assert await visible(parts, "compactor") == {COMPACTED, DEAD_READINGS}
    # of the compactor's dead letters the server counts all, and shows the newest
    assert await visible(parts, "server") == {COMPACTED, DEAD_COMPACTED, DEAD_READINGS}
    for user in ("compactor", "server"):
        with closing(TopicQueries(kafka_settings(parts.kafka, user))) as queries:
            assert await queries.config(COMPACTED, "cleanup.policy") == "delete"
            with pytest.raises(TopicAuthorizationFailedError):
                await queries.config(DEAD_COMPACTED, "cleanup.policy")
        with pytest.raises(MissingTopicsError, match="has no topic another"):
            await ensure_topics(kafka_settings(parts.kafka, user), "another")
        with pytest.raises(KafkaConnectionError):
            await visible(parts, user, "wrong")
    for topic in (COMPACTED, DEAD_READINGS):
        async with producer(parts, "server") as denied:
            with pytest.raises(TopicAuthorizationFailedError):
                await denied.send_and_wait(topic, b"")
    with pytest.raises(GroupAuthorizationFailedError):
        await committed(parts, "compactor", SERVER_GROUP)
    async with consumer(parts, "compactor") as denied:
        denied.assign([TopicPartition(DEAD_READINGS, 0)])
        with pytest.raises(TopicAuthorizationFailedError):
            await denied.getone()


async def mosquitto_keeps_them_apart(parts: Secured) -> None:
    for url in (
        f"mqtt://127.0.0.1:{parts.mqtt.port}",
        parts.mqtt_url("generator", "wrong"),
        parts.mqtt_url("compactor", MQTT_USERS["generator"]),
    ):
        with pytest.raises(RefusedError):
            await log_in(url)
    async with publisher(parts.mqtt_url("compactor")) as link:
        link.publish("sensor_readings/facility_1/forged", [b'{"ts": 1, "val": 1}'])
        await link.drained()
        assert (link.acknowledged, link.refused) == (0, 1)
    received = Received()
    endpoint = Endpoint.parse(parts.mqtt_url("generator"))
    eavesdropper = Subscriber(endpoint, "eavesdropper", ["sensor_readings/#"], received)
    running = asyncio.create_task(eavesdropper.run())
    # Mosquitto grants a subscription whatever its ACL, and delivers nothing
    await eventually(in_thread(lambda: eavesdropper.connections > 0))
    before = metrics(parts.compactor)["received"]
    await eventually(in_thread(lambda: metrics(parts.compactor)["received"] > before + 10))
    await eavesdropper.close()
    await running
    assert received.messages == 0


async def mongodb_keeps_them_apart(parts: Secured) -> None:
    client: AsyncMongoClient[Any]
    async with AsyncMongoClient(parts.mongodb_uri()) as client:
        for database, command in (
            ("another", {"find": "compacted_sensor_readings"}),
            ("sensorpipe", {"dropDatabase": 1}),
            ("admin", {"listDatabases": 1, "authorizedDatabases": False}),
        ):
            with pytest.raises(OperationFailure) as refused:
                await client[database].command(command)
            assert refused.value.code == UNAUTHORIZED
    async with AsyncMongoClient("127.0.0.1", parts.mongodb.port) as client:
        with pytest.raises(OperationFailure) as refused:
            await client.sensorpipe.command({"find": "compacted_sensor_readings"})
        assert refused.value.code == UNAUTHORIZED


async def test_what_is_missing_is_reported_once_and_used_as_soon_as_it_is_there(tmp_path):
    async with secured(tmp_path) as parts:
        await parts.start_services()
        for child in (parts.compactor, parts.server):
            await child.start()
        await told(parts.compactor, COMPACTED, DEAD_READINGS, "'compactor'", "KafkaTopic")
        await told(parts.server, COMPACTED, DEAD_COMPACTED, "'server'", "KafkaTopic")
        for child in (parts.compactor, parts.server):
            await eventually(in_thread(partial(waits, child)), state=child.tail)
        await create(parts.kafka, *TOPICS)
        await allow(parts.kafka, "compactor", COMPACTOR_ACLS)
        without_group = {what: how for what, how in SERVER_ACLS.items() if what[0] != "group"}
        await allow(parts.kafka, "server", without_group)
        await parts.ready(parts.compactor)
        await told(parts.server, "'server'", "is not authorized", SERVER_GROUP)
        assert waits(parts.server)
        await allow(parts.kafka, "server", SERVER_ACLS)
        await parts.ready(parts.server)
        for child in (parts.compactor, parts.server):
            # while topics and rights come one after the other, what is missing may change
            said = [line for line in warnings_of(child) if "no topic" in str(line)]
            assert said
            for earlier, line in combinations(said, 2):  # a busy machine may need over a minute
                is_repeated = content_of(earlier) == content_of(line)
                assert not is_repeated or seconds_between(earlier, line) > SHOWN_EVERY - 1, said
            assert "Traceback" not in child.log.read_text()


def content_of(line: dict[str, Any]) -> dict[str, Any]:
    """Return what a line says, without when and how often."""
    return {name: value for name, value in line.items() if name not in ("time", "count")}


def seconds_between(earlier: dict[str, Any], later: dict[str, Any]) -> float:
    """Return how long after another line a program logged one."""
    times = [datetime.fromisoformat(line["time"]) for line in (earlier, later)]
    return (times[1] - times[0]).total_seconds()


async def test_wrong_passwords_are_reported_and_neither_kill_nor_satisfy(tmp_path):
    async with secured(tmp_path) as parts:
        await parts.start()
        for child in (parts.compactor, parts.server):
            await child.stop()
        parts.secret("kafka-compactor", "wrong")
        parts.secret("mongodb-uri", parts.mongodb_uri("wrong"))
        for child in (parts.compactor, parts.server):
            await child.start()
        kafka, mongodb = (f"127.0.0.1:{part.port}" for part in (parts.kafka, parts.mongodb))
        await told(parts.compactor, kafka, "'compactor'", "SENSORPIPE_KAFKA_PASSWORD")
        await told(parts.server, mongodb, "'sensorpipe-server'", "SENSORPIPE_MONGODB_URI")
        for child in (parts.compactor, parts.server):
            await eventually(in_thread(partial(waits, child)), state=child.tail)
            await child.stop()
        parts.secret("kafka-compactor", KAFKA_USERS["compactor"])
        parts.secret("mqtt-compactor", parts.mqtt_url("compactor", "wrong"))
        parts.secret("mongodb-uri", parts.mongodb_uri())
        parts.secret("kafka-server", "wrong")
        for child in (parts.compactor, parts.server):
            await child.start()
        mosquitto = f"127.0.0.1:{parts.mqtt.port}"
        await told(parts.compactor, mosquitto, "'compactor'", "SENSORPIPE_MQTT_URL")
        await told(parts.server, kafka, "'server'", "SENSORPIPE_KAFKA_PASSWORD")
        for child in (parts.compactor, parts.server):
            await eventually(in_thread(partial(waits, child)), state=child.tail)
            assert "Traceback" not in child.log.read_text()
            assert "wrong" not in child.log.read_text()


class Received:
    """Counts what a subscriber receives."""

    messages = 0

    def on_messages(self, messages, before):  # noqa: ARG002  the protocol's
        self.messages += len(messages)

    def on_connected(self, *, session_present):
        pass


class publisher:  # noqa: N801  used as a function
    """A connected publisher of one's own."""

    def __init__(self, url: str) -> None:
        self.link = Publisher(Endpoint.parse(url), "own-publisher", capacity=10)

    async def __aenter__(self) -> Publisher:
        self.running = asyncio.create_task(self.link.run())
        return self.link

    async def __aexit__(self, *_: object) -> None:
        await self.link.close()
        with suppress(asyncio.CancelledError):
            await self.running


async def log_in(url: str) -> None:
    endpoint = Endpoint.parse(url)
    connection = await Connection.open(endpoint, lambda _: None, lambda _: None)
    password = endpoint.password.encode() if endpoint.password is not None else None
    try:
        await connection.handshake(
            mqtt5.ConnectPacket("own-client", username=endpoint.username, password=password)
        )
    finally:
        connection.abort()


def producer(parts: Secured, user: str) -> AIOKafkaProducer:
    return AIOKafkaProducer(**kafka_settings(parts.kafka, user).client_options())


def consumer(parts: Secured, user: str, group: str | None = None) -> AIOKafkaConsumer:
    options = kafka_settings(parts.kafka, user).client_options()
    return AIOKafkaConsumer(group_id=group, auto_offset_reset="earliest", **options)


async def committed(parts: Secured, user: str, group: str) -> None:
    async with consumer(parts, user, group) as one:
        one.assign([TopicPartition(COMPACTED, 0)])
        await one.committed(TopicPartition(COMPACTED, 0))


async def visible(parts: Secured, user: str, password: str | None = None) -> set[str]:
    """Return the topics that a user can see."""
    settings = kafka_settings(parts.kafka, user, password)
    admin = AIOKafkaAdminClient(**settings.client_options())
    try:
        await admin.start()
        return set(await admin.list_topics())
    finally:
        await admin.close()
