"""A topic that Kafka compacts is refused, as its broker describes it."""

import logging
import uuid
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError
from sensorpipe_cli.runner.child import Child
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_runtime.kafka.compaction import LogCompactionError, refuse_compaction
from support import services
from support.secured_parts import KAFKA_USERS, allow, create, kafka_settings
from support.services import running


async def topic_of(kafka: Child, policy: str | None) -> tuple[KafkaSettings, str]:
    """Make a topic with this policy, or the broker's; return how to reach it and its name."""
    servers = f"127.0.0.1:{kafka.port}"
    settings = KafkaSettings(servers, "PLAINTEXT", "PLAIN", None, None, None)
    name = f"policy_{uuid.uuid4().hex}"
    admin = AIOKafkaAdminClient(**settings.client_options())
    await admin.start()
    try:
        configs = {"cleanup.policy": policy} if policy else {}
        answer = await admin.create_topics([NewTopic(name, 1, 1, topic_configs=configs)])
        assert [code for _, code, *_ in answer.topic_errors] == [0]
    finally:
        await admin.close()
    return settings, name


@pytest.mark.parametrize("policy", ["compact", "compact,delete", "delete,compact"])
async def test_a_compacted_topic_is_refused_with_what_to_do(kafka: Child, policy: str):
    settings, name = await topic_of(kafka, policy)
    with pytest.raises(LogCompactionError) as caught:
        await refuse_compaction(settings, name)
    said = str(caught.value)
    assert f"the topic {name} has cleanup.policy={policy}: " in said
    assert f"--entity-name {name} --add-config cleanup.policy=delete" in said


@pytest.mark.parametrize("policy", ["delete", None])
async def test_another_topic_is_not(
    kafka: Child, policy: str | None, caplog: pytest.LogCaptureFixture
):
    settings, name = await topic_of(kafka, policy)
    await refuse_compaction(settings, name)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    with pytest.raises(UnknownTopicOrPartitionError, match="about the topic absent"):
        await refuse_compaction(settings, "absent")


async def test_the_embedded_broker_compacts_nothing_and_does_not_hang_up(
    tansu: Child, caplog: pytest.LogCaptureFixture
):
    settings, name = await topic_of(tansu, None)
    await refuse_compaction(settings, name)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_who_may_not_describe_the_topic_is_warned_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async with running(services.secured_kafka(tmp_path, KAFKA_USERS)) as kafka:
        await create(kafka, "hidden")
        await allow(kafka, "server", {("topic", "hidden"): ["Read"]})
        settings = kafka_settings(kafka, "server")
        await refuse_compaction(settings, "hidden")
        await refuse_compaction(settings, "hidden")
        [warning] = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert "give the user the right DescribeConfigs on it" in warning.message
        assert warning.__dict__["topic"] == "hidden"
