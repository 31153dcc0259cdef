"""Topics whose `max.message.bytes` is less than what a window or a dead letter takes."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from sensorpipe_cli.runner.child import Child
from sensorpipe_compactor.output import topic_limit
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_compactor.output.records import Record
from sensorpipe_compactor.output.topic_limit import TopicLimit
from sensorpipe_schema.names import COMPACTED, DEAD_READINGS
from sensorpipe_schema.partial import Origin
from sensorpipe_schema.reading import Reading, encode
from support import services
from support.compactor_parts import counted, kafka_settings, record, seqs_of, written
from support.compactor_process import Process, counts, ready, source
from support.services import running
from support.waiting import eventually

LIMITS = {COMPACTED: 20_000, DEAD_READINGS: 4_000}
SOURCES = 1_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Child]:
    """A Kafka with topics that take small records only."""
    async with running(services.kafka(tmp_path_factory.mktemp("kafka"))) as kafka:
        admin = AIOKafkaAdminClient(**kafka_settings(kafka).client_options())
        await admin.start()
        topics = [
            NewTopic(name, 3, 1, topic_configs={"max.message.bytes": str(limit)})
            for name, limit in LIMITS.items()
        ]
        await admin.create_topics(topics)
        await admin.close()
        yield kafka


async def test_a_thousand_sources_are_written_in_several_partials(
    tmp_path: Path, mosquitto, small: Child
):
    name, other = "crowded", "quiet"
    environ = {
        "SENSORPIPE_MQTT_TOPIC": "sensor_readings/#",
        "SENSORPIPE_KAFKA_COMPRESSION": "none",  # with one it fits
    }
    process = Process(tmp_path, name, mosquitto.port, small.port, environ)
    async with source(mosquitto.port, name) as readings, ready(process):
        now = time.time_ns() // 1_000_000
        seqs = range(1, 4)
        crowd = [
            encode(Reading(now, float(n), f"source-{n:04d}-of-a-crowded-facility", seq))
            for seq in seqs
            for n in range(SOURCES)
        ]
        readings.publisher.publish(f"sensor_readings/{name}/s", crowd)
        readings.publisher.publish(
            f"sensor_readings/{other}/t", [encode(Reading(now, 1.0, "b", seq)) for seq in seqs]
        )
        await process.reaches("acknowledged", len(crowd) + len(seqs))  # once it was never
        metrics = await process.metrics()
        assert "Kafka refused records as too large" in process.tail(50)
    assert metrics["partials"] > SOURCES * 40 / LIMITS[COMPACTED]
    assert (metrics["readings"], metrics["duplicates"]) == (len(crowd) + len(seqs), 0)
    assert await counts(small, name) == {
        ("s", f"source-{n:04d}-of-a-crowded-facility", seq): 1
        for n in range(SOURCES)
        for seq in seqs
    } | {("t", "b", seq): 1 for seq in seqs}
    messages = [message for _, message in await written(kafka_settings(small), name)]
    assert max(message.ByteSize() for message in messages) < LIMITS[COMPACTED]
    held = [entry for message in messages for entry in message.sensors]
    assert sum(entry.count for entry in held) == len(crowd) + len(seqs)
    assert {entry.min for entry in held} >= {0.0, 1.0}


async def test_a_dead_letter_is_cut_where_its_topic_takes_no_more(
    tmp_path: Path, mosquitto, small: Child
):
    name = "cut"
    async with (
        source(mosquitto.port, name) as readings,
        ready(Process(tmp_path, name, mosquitto.port, small.port)) as process,
    ):
        readings.publisher.publish(f"sensor_readings/{name}/s", [b"x" * 8_000])
        await process.reaches("acknowledged", 1)
    consumer = AIOKafkaConsumer(
        DEAD_READINGS,
        **kafka_settings(small).client_options(),
        auto_offset_reset="earliest",
    )
    async with consumer, asyncio.timeout(30):
        letter = await consumer.getone()
    assert dict(letter.headers)["cut_from"] == b"8000"
    assert 3_000 < len(letter.value) < 4_000


async def test_a_limit_that_was_raised_is_reported_when_asked_again(small: Child):
    settings, topic = kafka_settings(small), "raised"
    admin = AIOKafkaAdminClient(**settings.client_options())
    await admin.start()
    try:
        configs = {"max.message.bytes": "1000"}
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=configs)])
        limit = TopicLimit(settings, topic)
        assert await limit.learn([3_000]) == 1_000
        assert not await limit.look_again()
        raised = {"max.message.bytes": "200000"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, raised)])
    finally:
        await admin.close()
    await eventually(limit.look_again)
    assert (limit.max_bytes, limit.batch_bytes) == (200_000, 200_000)


async def test_a_limit_that_the_broker_does_not_tell_is_learned_from_what_it_refuses(
    small: Child, monkeypatch: pytest.MonkeyPatch
):
    async def untold(*_: object) -> None:
        """As a user without the right to describe the topic's settings is answered."""

    monkeypatch.setattr(topic_limit, "_max_message_bytes", untold)
    name = "untold"
    journal = Journal(kafka_settings(small), name, compression="none")
    try:
        await journal.open()

        def made(number: int, facility: str, *seqs: int) -> Record:
            return record(Origin(name, journal.run, number), seqs, facility)

        large = made(1, "large", *range(1, 12_001, 2))
        beside = [made(number, f"f{number}", number) for number in range(2, 40)]
        assert large.size > LIMITS[COMPACTED]
        assert await journal.append([beside[0], large, *beside[1:]]) == {1}
        assert LIMITS[COMPACTED] / 4 < journal.max_bytes < large.size
        fitting = made(40, "large", 1, 3)
        assert await journal.append([fitting]) == set()
    finally:
        await journal.close()
    found = Counter(
        seq
        for _, message in await written(kafka_settings(small), name)
        for _, _, seq in seqs_of(message)
    )
    assert set(found) == {1, *range(2, 40)}


async def test_kafka_limits_what_is_left_after_compression(small: Child):
    name = "compressed"
    journal = Journal(kafka_settings(small), name, compression="zstd")
    try:
        await journal.open()

        def made(number: int, facility: str, *seqs: int) -> Record:
            return record(Origin(name, journal.run, number), seqs, facility)

        sparse = Record(COMPACTED, b"sparse", bytes(3 * LIMITS[COMPACTED]), [])
        assert await journal.append([sparse]) == set()
        assert journal.max_bytes > sparse.size
        dense = Record(COMPACTED, b"dense", random.Random(5).randbytes(LIMITS[COMPACTED]), [])
        beside = [made(number, f"f{number}", number * 100_000) for number in range(2, 40)]
        assert await journal.append([*beside, dense]) == {len(beside)}
        assert journal.max_bytes == LIMITS[COMPACTED]
    finally:
        await journal.close()
    counts = counted(await written(kafka_settings(small), name))
    assert counts == {("s", "a", number * 100_000): 1 for number in range(2, 40)}
