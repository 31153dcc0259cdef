"""Dead letters as Kafka counts them, on the embedded broker and on Apache Kafka."""

import asyncio
import uuid

import pytest
from aiokafka import AIOKafkaProducer
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import free_port
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_runtime.settings import Environment
from sensorpipe_server.api import dead_letter_counts
from sensorpipe_server.api.dead_letter_counts import DeadLetterCounter, DeadLetterCounts
from support.dead_letters import refused_message, write
from support.services import running
from support.waiting import eventually


def settings_of(port):
    bootstrap = f"127.0.0.1:{port}"
    return KafkaSettings.read(Environment({"SENSORPIPE_KAFKA_BOOTSTRAP": bootstrap}))


@pytest.fixture(autouse=True)
def never_kept(monkeypatch):
    monkeypatch.setattr(dead_letter_counts, "CACHE_SECONDS", -1.0)


def topics():
    """Return topics of the test's own: the brokers serve all tests."""
    run = uuid.uuid4().hex
    return f"readings-{run}", f"partials-{run}"


async def count(settings):
    readings, partials = names = topics()
    asking = DeadLetterCounter(settings, names)
    assert await asking.counts() == DeadLetterCounts(None, None)
    await ensure_topics(settings, *names)

    async def are(counts):
        return await asking.counts() == counts

    await eventually(
        lambda: are(DeadLetterCounts(0, 0))
    )  # a broker knows a new topic a little later
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap, acks="all") as producer:
        for number in range(5):
            await producer.send_and_wait(readings, b"junk", key=b"%d" % number)
        await producer.send_and_wait(partials, b"junk")
    await eventually(lambda: are(DeadLetterCounts(5, 1)))


async def test_dead_letters_are_counted_by_topic_and_unknown_without_one(kafka):
    await count(settings_of(kafka.port))


async def test_the_embedded_broker_says_how_many_there_are_too(tansu):
    await count(settings_of(tansu.port))


async def count_a_batch(settings):
    readings, partials = names = topics()
    asking = DeadLetterCounter(settings, names)
    await ensure_topics(settings, *names)
    many = [refused_message("not_json", payload=b"%d" % n) for n in range(1200)]
    await write(settings.bootstrap, readings, many, partition=0, batch_bytes=1_000_000)
    await write(settings.bootstrap, partials, many[:7], partition=0, batch_bytes=1_000_000)

    async def is_right():
        return await asking.counts() == DeadLetterCounts(1200, 7)

    await eventually(is_right)


async def test_letters_of_one_batch_are_all_counted(kafka):
    await count_a_batch(settings_of(kafka.port))


async def test_the_embedded_broker_says_an_end_within_its_newest_batch(tansu):
    await count_a_batch(settings_of(tansu.port))


async def test_without_kafka_the_counts_are_unknown(tmp_path):
    port, names = free_port(), topics()
    asking = DeadLetterCounter(settings_of(port), names)
    assert await asking.counts() == DeadLetterCounts(None, None)
    async with running(embedded.kafka_broker(port, tmp_path)):
        await ensure_topics(settings_of(port), names[0])
        assert await asking.counts() == DeadLetterCounts(0, None)


async def test_one_answer_serves_all_who_ask_at_the_same_time(monkeypatch):
    monkeypatch.setattr(dead_letter_counts, "CACHE_SECONDS", 60.0)
    asked = []

    async def answer(self):
        asked.append(self)
        return DeadLetterCounts(1, 2)

    monkeypatch.setattr(DeadLetterCounter, "_ask", answer)
    asking = DeadLetterCounter(settings_of(1))
    answers = await asyncio.gather(*(asking.counts() for _ in range(50)))
    assert set(answers) == {DeadLetterCounts(1, 2)}
    assert len(asked) == 1
