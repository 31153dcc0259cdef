"""A record that Kafka refuses as too large, after an attempt that it did not answer."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata
from sensorpipe_compactor.output import journal as journal_module
from sensorpipe_compactor.output import topic_producer
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_compactor.output.records import Record
from sensorpipe_compactor.output.sending import UncertainAppendError
from sensorpipe_compactor.settings import Settings
from sensorpipe_schema.names import COMPACTED

DONE = RecordMetadata(COMPACTED, 0, None, 0, 0, 0, 0)
FIRST, SECOND = b"the first", b"the second"
TOO_LARGE, NO_ANSWER = MessageSizeTooLargeError(), KafkaTimeoutError()


class Producer:
    """Sends each record alone, and answers each with the next of what it is given."""

    answers: Iterator[RecordMetadata | Exception]
    sent: ClassVar[list[bytes]] = []
    """What is in the batches: they are not compressed."""

    def __init__(self, **_: object) -> None:
        """Connect to nothing."""
        self._message_accumulator = SimpleNamespace()

    async def start(self) -> None:
        """Connect to nothing."""

    async def stop(self) -> None:
        """Nothing is open."""

    async def partitions_for(self, _: str) -> set[int]:
        return {0}

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(1, 0)

    async def send_batch(
        self, batch: BatchBuilder, _: str, *, partition: int
    ) -> asyncio.Future[RecordMetadata]:
        assert (partition, batch.record_count()) == (0, 1)
        self.sent.append(bytes(batch._build()))
        done: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        answer = next(self.answers)
        if isinstance(answer, Exception):
            done.set_exception(answer)
        else:
            done.set_result(answer)
        return done


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    async def nothing(*_: object) -> str:
        return ""

    monkeypatch.setattr(topic_producer, "AIOKafkaProducer", Producer)
    monkeypatch.setattr(journal_module, "explain", nothing)
    settings = Settings.read({})
    made = Journal(settings.kafka, settings.name)
    made._ends = {0: 0}

    async def learn(_: Any) -> int:
        return 0

    monkeypatch.setattr(made._limit, "learn", learn)
    return made


async def append(journal: Journal, *answers: RecordMetadata | Exception) -> set[int]:
    """Append two records, and let Kafka answer them so."""
    Producer.answers, Producer.sent = iter(answers), []
    records = [Record(COMPACTED, b"k", value, []) for value in (FIRST, SECOND)]
    return await journal.append(records)


def sent(value: bytes) -> int:
    """Return how often a record was sent."""
    return sum(value in batch for batch in Producer.sent)


async def test_what_was_never_written_may_be_divided(journal: Journal):
    assert await append(journal, TOO_LARGE, DONE) == {0}


async def test_what_was_refused_in_each_attempt_may_be_divided(journal: Journal):
    assert await append(journal, TOO_LARGE, NO_ANSWER, TOO_LARGE, DONE) == {0}


@pytest.mark.parametrize("first", [NO_ANSWER, DONE])
async def test_what_may_be_written_already_is_not_divided(
    journal: Journal, first: RecordMetadata | Exception
):
    """A new start finds out whether it is; once both its halves were written as well."""
    with pytest.raises(UncertainAppendError, match="may have been written"):
        await append(journal, first, NO_ANSWER, TOO_LARGE, DONE)


async def test_what_is_durable_is_not_sent_again_with_what_is_not(journal: Journal):
    """So an append of any size comes to its end: each attempt takes up where the last ended."""
    behind = DONE._replace(offset=1)
    assert await append(journal, DONE, NO_ANSWER, NO_ANSWER, behind) == set()
    assert (sent(FIRST), sent(SECOND)) == (1, 3)


async def test_nothing_is_sent_behind_a_batch_without_an_answer(journal: Journal):
    """In an attempt: what was never sent is certain not to be written."""
    assert await append(journal, NO_ANSWER, DONE, TOO_LARGE) == {1}
    assert (sent(FIRST), sent(SECOND)) == (2, 1)
