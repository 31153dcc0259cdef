"""The id that tells a topic from another of the same name, asked of real brokers."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from sensorpipe_cli.runner.child import Child
from sensorpipe_cli.runner.ports import free_port
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_runtime.kafka.topic_queries import TopicQueries, topic_id
from support import services
from support.secured_parts import KAFKA_USERS, allow, create, kafka_settings
from support.services import running
from support.waiting import eventually


def plain(port: int | None) -> KafkaSettings:
    return KafkaSettings(f"127.0.0.1:{port}", "PLAINTEXT", "PLAIN", None, None, None)


@pytest.fixture(params=["kafka", "tansu"])
def settings(request: pytest.FixtureRequest) -> KafkaSettings:
    """Apache Kafka and the embedded broker."""
    broker: Child = request.getfixturevalue(request.param)
    return plain(broker.port)


@asynccontextmanager
async def administering(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**settings.client_options())
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def test_a_topic_made_anew_has_another_id(settings: KafkaSettings):
    name = f"id_{uuid.uuid4().hex}"
    async with administering(settings) as admin:
        with closing(TopicQueries(settings)) as queries:

            async def is_gone() -> bool:
                return await queries.topic_id(name) is None

            assert await is_gone()
            await admin.create_topics([NewTopic(name, 2, 1)])
            await eventually(lambda: queries.topic_id(name))
            first = await queries.topic_id(name)
            assert first is not None
            assert uuid.UUID(first).int
            assert await queries.topic_id(name) == await topic_id(settings, name) == first

            await admin.delete_topics([name])
            await eventually(is_gone)
            await admin.create_topics([NewTopic(name, 2, 1)])
            await eventually(lambda: queries.topic_id(name))
            second = await queries.topic_id(name)
            assert second is not None
    assert uuid.UUID(second).int
    assert second != first


@pytest.mark.parametrize(("newest", "length"), [(9, 0), (11, 36), (13, 36)])
async def test_a_broker_before_ids_of_topics_gives_a_constant(
    kafka: Child, monkeypatch: pytest.MonkeyPatch, newest: int, length: int
):
    look_up = AIOKafkaConnection._do_version_lookup

    async def as_of_then(self: AIOKafkaConnection) -> None:
        await look_up(self)
        self._versions[3] = (0, newest)

    settings, name = plain(kafka.port), f"id_{uuid.uuid4().hex}"
    async with administering(settings) as admin:
        await admin.create_topics([NewTopic(name, 1, 1)])
    monkeypatch.setattr(AIOKafkaConnection, "_do_version_lookup", as_of_then)
    told = await topic_id(settings, name)
    assert told is not None
    assert len(told) == length


async def test_a_question_goes_to_whichever_server_answers(kafka: Child):
    dead = free_port()
    servers = f"127.0.0.1:{dead},127.0.0.1:{kafka.port}"
    for _ in range(4):  # each time in another order, perhaps
        settings = KafkaSettings(servers, "PLAINTEXT", "PLAIN", None, None, None)
        assert await topic_id(settings, "never_made") is None
    with pytest.raises(OSError, match="Connect call failed"):
        await topic_id(plain(dead), "never_made")


async def test_with_users_and_after_an_outage(tmp_path: Path):
    async with running(services.secured_kafka(tmp_path, KAFKA_USERS)) as kafka:
        await create(kafka, "seen", "unseen")
        await allow(kafka, "server", {("topic", "seen"): ["Describe"]})
        with closing(TopicQueries(kafka_settings(kafka, "server"))) as queries:
            before = await queries.topic_id("seen")
            assert before
            with pytest.raises(TopicAuthorizationFailedError, match="about the topic unseen"):
                await queries.topic_id("unseen")
            await kafka.stop()
            with pytest.raises((KafkaError, OSError)):
                await queries.topic_id("seen")
            await kafka.start()
            await kafka.listening()
            assert await queries.topic_id("seen") == before
