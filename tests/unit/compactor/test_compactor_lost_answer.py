"""A batch that Kafka writes although its answer is lost, with aiokafka's own sender."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    MessageSizeTooLargeError,
    NotEnoughReplicasAfterAppendError,
    RequestTimedOutError,
)
from aiokafka.producer import producer as producer_module
from aiokafka.protocol.produce import ProduceRequest
from sensorpipe_compactor.output import journal as journal_module
from sensorpipe_compactor.output import topic_producer
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_compactor.output.records import Record
from sensorpipe_compactor.output.sending import UncertainAppendError
from sensorpipe_compactor.settings import Settings
from sensorpipe_runtime.kafka import closing
from sensorpipe_schema.names import COMPACTED
from support.waiting import eventually

DONE = 0
TOO_LARGE = MessageSizeTooLargeError.errno
UNSUPPORTED_CODEC = 76  # which aiokafka has no name for
AFTER_APPEND = NotEnoughReplicasAfterAppendError.errno

Answer = int | Exception | asyncio.Event


class Cluster:
    """One partition, led by one broker."""

    def leader_for_partition(self, _: object) -> int:
        return 0

    def partitions_for_topic(self, _: str) -> set[int]:
        return {0}


class Client:
    """The connections of a producer to one broker, which gives the next of `answers`."""

    answers: list[Answer]
    """A code of Kafka, the error of a connection that ends without an answer, or what a request
    waits for until it times out."""

    def __init__(self, **_: object) -> None:
        self.cluster = Cluster()

    async def bootstrap(self) -> None:
        """Connect to nothing."""

    async def close(self) -> None:
        """Nothing is open."""

    async def _wait_on_metadata(self, _: str) -> set[int]:
        return {0}

    async def _maybe_wait_metadata(self) -> None:
        """Nothing is asked for."""

    def force_metadata_update(self) -> Awaitable[bool]:
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        done.set_result(True)
        return done

    async def send(self, _: int, request: object) -> Any:
        assert isinstance(request, ProduceRequest)
        answer = self.answers.pop(0)
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            raise RequestTimedOutError
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(API_VERSION=4, topics=[(COMPACTED, [(0, answer, 7, -1)])])


@pytest.fixture
def append(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Awaitable[set[int]]]:
    async def nothing(*_: object) -> str:
        return ""

    async def learn(_: Any) -> int:
        return 0

    async def appended(*answers: Answer) -> set[int]:
        Client.answers = list(answers)
        settings = Settings.read({})
        journal = Journal(settings.kafka, settings.name)
        journal._ends = {0: 0}
        monkeypatch.setattr(journal._limit, "learn", learn)
        async with asyncio.timeout(20):
            try:
                refused = await journal.append([Record(COMPACTED, b"k", b"v", [])])
            finally:
                await journal.close()
        assert not Client.answers
        return refused

    monkeypatch.setattr(producer_module, "AIOKafkaClient", Client)
    monkeypatch.setattr(journal_module, "explain", nothing)
    monkeypatch.setattr(Journal, "_check_range", nothing)
    return appended


async def test_a_record_that_is_refused_at_first_may_be_divided(
    append: Callable[..., Awaitable[set[int]]],
):
    assert await append(TOO_LARGE) == {0}


@pytest.mark.parametrize(
    "lost",
    [
        KafkaConnectionError("closed after the broker had read the request"),
        RequestTimedOutError(),
        AFTER_APPEND,
        RequestTimedOutError.errno,
    ],
)
async def test_a_record_is_not_divided_after_an_answer_that_leaves_it_open(
    append: Callable[..., Awaitable[set[int]]], lost: Answer
):
    """The topic's limit is lowered in between: the broker refuses what it has written already."""
    with pytest.raises(UncertainAppendError):
        await append(lost, TOO_LARGE)


@pytest.mark.parametrize("lost", [KafkaConnectionError(), AFTER_APPEND])
async def test_a_record_is_sent_again_after_a_lost_answer(
    append: Callable[..., Awaitable[set[int]]], lost: Answer
):
    assert await append(lost, lost, DONE) == set()


async def test_a_codec_that_the_broker_does_not_support_is_told(
    append: Callable[..., Awaitable[set[int]]], caplog: pytest.LogCaptureFixture
):
    assert await append(UNSUPPORTED_CODEC, DONE) == set()
    (failed,) = [one for one in caplog.records if "did not take it" in one.getMessage()]
    hint = "if this broker does not support zstd, set SENSORPIPE_KAFKA_COMPRESSION"
    assert hint in failed.__dict__["error"]


async def test_an_attempt_that_expires_leaves_no_producer_and_no_error_behind(
    append: Callable[..., Awaitable[set[int]]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(topic_producer, "ATTEMPT_SECONDS", 0.05)
    monkeypatch.setattr(topic_producer, "_STOP_SECONDS", 0.01)
    # a record of its log would hold the error, and so all that had to do with it
    monkeypatch.setattr(logging.getLogger("aiokafka.producer.sender"), "disabled", True)
    loop, unnoticed = asyncio.get_running_loop(), list[object]()
    loop.set_exception_handler(lambda _, context: unnoticed.append(context))
    before, times_out = asyncio.all_tasks(), asyncio.Event()
    assert await append(times_out, DONE) == set()
    assert closing._closing  # the first producer still waits for its answer
    times_out.set()
    await eventually(lambda: asyncio.all_tasks() == before)
    gc.collect()
    loop.set_exception_handler(None)
    assert unnoticed == []
