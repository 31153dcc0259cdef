"""A record that Kafka refuses as too large, after an attempt that it did not answer."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.structs import RecordMetadata
from sensorpipe_compactor.output import journal as journal_module
from sensorpipe_compactor.output import topic_producer
from sensorpipe_compactor.output.journal import Journal, UncertainAppendError
from sensorpipe_compactor.output.records import Record
from sensorpipe_compactor.settings import Settings
from sensorpipe_schema.names import COMPACTED

DONE = RecordMetadata(COMPACTED, 0, None, 0, 0, 0, 0)
TOO_LARGE, NO_ANSWER = MessageSizeTooLargeError(), KafkaTimeoutError()


class Producer:
    """Answers records with what it is given, in their order."""

    answers: Iterator[RecordMetadata | Exception]

    def __init__(self, **_: object) -> None:
        """Connect to nothing."""
        self._message_accumulator = SimpleNamespace()

    async def start(self) -> None:
        """Connect to nothing."""

    async def stop(self) -> None:
        """Nothing is open."""

    async def partitions_for(self, _: str) -> set[int]:
        return {0}

    async def send(self, *_: object, **__: object) -> asyncio.Future[RecordMetadata]:
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
    Producer.answers = iter(answers)
    return await journal.append([Record(COMPACTED, b"k", b"v", []) for _ in range(2)])


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
