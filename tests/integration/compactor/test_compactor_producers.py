"""Partials and dead letters have producers apart: the limits and failures of one are its own."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata
from sensorpipe_compactor.output import topic_producer
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_compactor.output.records import Record
from sensorpipe_compactor.settings import Settings
from sensorpipe_schema.names import COMPACTED, DEAD_READINGS

LARGE = 512 * 1024


class Producer:
    """Remembers what it was made with; `fails` names the topics that take nothing."""

    made: list["Producer"]
    fails: set[str]

    def __init__(self, **options: Any) -> None:
        self.batch = options["max_batch_size"]
        self.topics: list[str] = []
        self.is_stopped = False
        self._message_accumulator = SimpleNamespace()
        self.made.append(self)

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        self.is_stopped = True

    async def partitions_for(self, _: str) -> set[int]:
        return {0}

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(self.batch, 0)

    async def send_batch(
        self, _: BatchBuilder, topic: str, **__: object
    ) -> asyncio.Future[RecordMetadata]:
        if topic in self.fails:
            raise KafkaConnectionError(topic)
        self.topics.append(topic)
        done: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        done.set_result(RecordMetadata(topic, 0, None, 0, 0, 0, 0))
        return done


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Producer]:
    Producer.made, Producer.fails = [], set()
    monkeypatch.setattr(topic_producer, "AIOKafkaProducer", Producer)
    return Producer.made


@pytest.fixture
def journal() -> Journal:
    settings = Settings.read({})
    return Journal(settings.kafka, settings.name)


def record(topic: str) -> Record:
    return Record(topic, b"k", b"v", [])


@pytest.mark.parametrize("dead_first", [False, True])
async def test_a_small_dead_letter_topic_makes_no_small_batches_of_partials(
    made: list[Producer], journal: Journal, *, dead_first: bool
):
    journal._dead_letters.producer.limit.batch_bytes = 1
    if dead_first:
        assert await journal.write_dead_letters([record(DEAD_READINGS)])
    await journal._producer.send_one(record(COMPACTED), 0)
    assert await journal.write_dead_letters([record(DEAD_READINGS)])
    batches = {topic: one.batch for one in made for topic in one.topics}
    assert batches == {COMPACTED: LARGE, DEAD_READINGS: 1}  # once 1 for both
    assert len(made) == 2
    await journal.close()
    assert all(one.is_stopped for one in made)


async def test_dead_letters_that_fail_end_no_producer_of_partials(
    made: list[Producer], journal: Journal
):
    await journal._producer.send_one(record(COMPACTED), 0)
    Producer.fails = {DEAD_READINGS}
    assert not await journal.write_dead_letters([record(DEAD_READINGS)])
    assert [one.is_stopped for one in made] == [False, True]
    assert journal.connected
    await journal.close()
    assert not journal.connected
