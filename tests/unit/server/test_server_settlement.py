"""Dead letters and commits: in order, bounded, and never beyond an unsent letter."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    KafkaConnectionError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)
from pymongo.errors import AutoReconnect
from sensorpipe_runtime.backoff import Backoff
from sensorpipe_server.ingest import dead_letter, settlement
from sensorpipe_server.ingest.dead_letter import KafkaDeadLetters
from sensorpipe_server.ingest.membership import Membership
from sensorpipe_server.ingest.settlement import LettersLeftOutError, Settlement
from sensorpipe_server.storage.pending import RefusedRecord
from support.server_parts import Record

ZERO = TopicPartition("topic", 0)


def letter(offset, size=1):
    return RefusedRecord(Record(b"x" * size, offset), "not_protobuf", "")


class Letters:
    """Dead letters that can be sent once the event is set."""

    topic = "dead"

    def __init__(self):
        self.possible = asyncio.Event()
        self.tried = asyncio.Event()
        self.sent = []

    async def send(self, refused):
        self.tried.set()
        if not self.possible.is_set():
            raise KafkaConnectionError
        self.sent += [one.record.offset for one in refused]
        refused.clear()


class Consumer:
    """Notes what is committed; fails so many times before."""

    def __init__(self, failures=0, error=CommitFailedError):
        self.failures, self.error = failures, error
        self.committed = []

    async def commit(self, positions):
        if self.failures:
            self.failures -= 1
            raise self.error
        self.committed.append(positions[ZERO])


async def explain(error):
    return repr(error)


async def nothing_more(_):
    """Take no note of what is committed."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(settlement, "retry_backoff", lambda: Backoff(uniform=lambda *_: 0.0))


@asynccontextmanager
async def settling(letters, consumer, membership=None):
    made = Settlement(consumer, membership or Membership(), letters, explain, nothing_more)
    task = asyncio.create_task(made.run())
    try:
        async with asyncio.timeout(10):
            yield made, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_committed_before_an_unsent_letter_and_all_of_it_after():
    letters, consumer = Letters(), Consumer()
    async with settling(letters, consumer) as (made, _):
        made.add(0, {ZERO: 5}, [])
        await made.finish()
        made.add(0, {ZERO: 6}, [letter(5)])
        await letters.tried.wait()
        for position in range(7, 50):
            made.add(0, {ZERO: position}, [letter(9)] if position == 10 else [])
        assert consumer.committed == [5]
        letters.possible.set()
        await made.finish()
    assert letters.sent == [5, 9]
    assert consumer.committed == [5, 6, 49]


@pytest.mark.parametrize("error", [CommitFailedError, AutoReconnect, TimeoutError])
async def test_a_commit_that_failed_is_tried_again(error):
    consumer = Consumer(failures=3, error=error)
    async with settling(Letters(), consumer) as (made, _):
        made.add(0, {ZERO: 5}, [])
        await made.finish()
    assert consumer.committed == [5]


async def test_after_a_rebalance_nothing_of_the_former_generation_is_sent_or_committed():
    letters, consumer, membership = Letters(), Consumer(), Membership()
    async with settling(letters, consumer, membership) as (made, _):
        made.add(0, {ZERO: 6}, [letter(5)])
        await letters.tried.wait()
        made.add(0, {ZERO: 7}, [letter(6)])
        membership.on_partitions_revoked(())
        letters.possible.set()
        made.add(1, {ZERO: 3}, [letter(2)])
        await made.finish()
    assert letters.sent in ([2], [5, 2])
    assert consumer.committed == [3]


@pytest.mark.parametrize(
    ("bound", "limit", "sent", "committed"),
    [("MAX_LETTERS", 3, [0, 1, 3, 5], [1, 7]), ("MAX_BYTES", 30, [0, 1, 3], [1, 5])],
)
async def test_letters_beyond_the_bound_are_read_again_once_some_can_be_sent(
    monkeypatch, bound, limit, sent, committed
):
    monkeypatch.setattr(settlement, bound, limit)
    letters, consumer = Letters(), Consumer()
    async with settling(letters, consumer) as (made, task):
        made.add(0, {ZERO: 1}, [letter(0, 10)])
        await letters.tried.wait()
        for offset in range(1, 100):
            made.add(0, {ZERO: offset + 1}, [letter(offset, 10)] if offset % 2 else [])
        letters.possible.set()
        with pytest.raises(LettersLeftOutError):
            await task
    assert (letters.sent, consumer.committed) == (sent, committed)


class Producer:
    """Sends what fits; knows its topic only after so many questions."""

    def __init__(self, limit, unknown=0, fails=()):
        self.limit, self.unknown, self.fails = limit, unknown, set(fails)
        self.sent, self.running = [], False

    async def start(self):
        self.running = True

    async def stop(self):
        self.running = False

    async def partitions_for(self, _topic):
        if self.unknown:
            self.unknown -= 1
            await asyncio.Event().wait()
        return {0}

    async def send_and_wait(self, _topic, value, key=None, headers=()):
        if len(value) + len(key or b"") > self.limit:
            raise MessageSizeTooLargeError
        found = dict(headers)
        if int(found["offset"]) in self.fails:
            raise UnknownTopicOrPartitionError
        self.sent.append((key, value, found))


async def no_more():
    """Ensure nothing."""


async def test_a_key_that_is_too_large_is_left_out_as_the_value_is():
    producer = Producer(10)
    letters = KafkaDeadLetters(lambda: producer, "dead", no_more)
    record = SimpleNamespace(key=b"k" * 11, value=b"v" * 12, topic="t", partition=0, offset=7)
    left = [RefusedRecord(record, "r", "d")]
    await letters.send(left)
    ((key, value, headers),) = producer.sent
    assert (key, value, left) == (None, b"", [])
    assert (headers["left_out"], headers["key_left_out"]) == (b"12 bytes", b"11 bytes")


async def test_what_is_durable_is_not_sent_again_and_another_producer_tries():
    producers = [Producer(99, fails={1}), Producer(99)]
    made, ensured = iter(producers), []

    async def ensure():
        ensured.append(True)

    letters = KafkaDeadLetters(lambda: next(made), "dead", ensure)
    left = [letter(offset) for offset in range(3)]
    with pytest.raises(UnknownTopicOrPartitionError):
        await letters.send(left)
    assert [one.record.offset for one in left] == [1]
    assert not producers[0].running
    await letters.send(left)
    assert [found["offset"] for _, _, found in producers[1].sent] == [b"1"]
    assert ensured == [True]


async def test_a_topic_that_kafka_does_not_know_is_named(monkeypatch):
    monkeypatch.setattr(dead_letter, "TOPIC_SECONDS", 0.0)
    letters = KafkaDeadLetters(lambda: Producer(99, unknown=1), "dead", no_more)
    with pytest.raises(dead_letter.UnknownTopicError, match="Kafka does not know the topic dead"):
        await letters.send([letter(1)])
