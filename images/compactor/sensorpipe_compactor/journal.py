"""The compacted topic as this compactor's journal: claims an epoch, appends, notices a rival."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple, TypeVar

from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata
from sensorpipe_runtime.service import is_our_cancellation
from sensorpipe_schema import partial
from sensorpipe_schema.backoff import Backoff
from sensorpipe_schema.complaint import Complaint
from sensorpipe_schema.kafka import KafkaSettings, ensure_topics
from sensorpipe_schema.kafka_trouble import explain
from sensorpipe_schema.names import COMPACTED, DEAD_READINGS

from sensorpipe_compactor.claim import Claim, Restore, own_message
from sensorpipe_compactor.subscriptions import Subscriptions
from sensorpipe_compactor.tail import ShorterLogError, Tail

_ATTEMPT_SECONDS: Final = 30.0
"""Then a new producer tries: an old one may be stuck for good (aio-libs/aiokafka#1017)."""

_DEAD_SECONDS: Final = 10.0
"""For one attempt to write dead letters, as partials wait for its end."""

_DEAD_WAIT: Final = "Dead letters cannot be written; readings go on"

_FAILURES: Final = (KafkaError, OSError, TimeoutError, asyncio.CancelledError)
"""What a failed attempt raises: a client's own tasks can raise the last (aio-libs/aiokafka#647)."""

_STOP_SECONDS: Final = 5.0
_AGAIN: Final = "Kafka did not take it; trying again"

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Record(NamedTuple):
    """One Kafka message to be."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    partition: int | None = None


class FencedError(Exception):
    """Another compactor of our name began a later epoch: what we send does not count any more."""


class LogReplacedError(Exception):
    """Offsets of the compacted topic went back: it was made anew, or has lost its end.

    What is durable, and whether our fence is among it, only a new start finds out.
    """


class Journal:
    """Appends with `acks=all`, one append after the other, each for as long as it takes.

    The producer is not idempotent: a repeated partial carries the same
    (epoch, number), which the server counts once; and as an append ends before
    the next begins, no partial overtakes another of the same window.
    """

    def __init__(self, settings: KafkaSettings, name: str, filters: Iterable[str] = ()) -> None:
        self.epoch = 0
        self.subscriptions = Subscriptions(filters)
        self.retries = 0
        """Attempts that failed and were made again."""
        self.on_attempt: Callable[[], None] = lambda: None
        """Called when an attempt begins and when it has failed."""
        self._complaint = Complaint(_log)
        self._dead_complaint = Complaint(_log)
        self._dead_failed = False
        self._settings = settings
        self._name = name
        self._ends: dict[int, int] = {}
        self._producer: AIOKafkaProducer | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        """Whether there is a producer: a failed attempt ends it."""
        return self._producer is not None

    async def open(self, restore: Restore) -> None:
        """Begin an epoch; hand all that may be delivered again but is durable to `restore`."""
        await self._persist("create topics", self._create_topics)
        self.epoch, self._ends = await self._persist("claim an epoch", lambda: self._claim(restore))

    async def append(self, records: list[Record]) -> None:
        """Return once all records are durable.

        Raises FencedError if they count no more, LogReplacedError if that is unknown.
        """
        written = await self._persist("append", lambda: self._send(records))
        await self._persist("look for a rival", lambda: self._check(written))

    async def set_apart(self, letters: list[Record]) -> bool:
        """Write dead letters in one attempt of at most 10 s; return whether they are durable.

        They fail apart from the partials. After a failure the topic is ensured again.
        """
        try:
            async with asyncio.timeout(_DEAD_SECONDS):
                if self._dead_failed:
                    await ensure_topics(self._settings, DEAD_READINGS)
                await self._send(letters)
        except _FAILURES as error:
            if is_our_cancellation(error):
                raise
            self.retries += 1
            self._dead_failed = True
            reason = await explain(self._settings, error)
            self._dead_complaint.say(_DEAD_WAIT, topic=DEAD_READINGS, error=reason)
            await self.close()
            return False
        self._dead_failed = False
        self._dead_complaint.settled("Dead letters are written again", topic=DEAD_READINGS)
        return True

    async def close(self) -> None:
        """Let go of the connection."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        stopping = asyncio.create_task(_stop(producer), name="stop Kafka producer")
        # One that a broker keeps waiting ends when its requests have timed out; a
        # cancelled one would go on sending for ever.
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)
        await asyncio.wait([stopping], timeout=_STOP_SECONDS)

    async def _persist(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make attempts until one succeeds: the broker keeps what we do not acknowledge."""
        backoff = Backoff()
        while True:
            self.on_attempt()
            try:
                done = await attempt()
            except _FAILURES as error:
                if is_our_cancellation(error):
                    raise
                self.retries += 1
                self.on_attempt()
                reason = await explain(self._settings, error)
                self._complaint.say(_AGAIN, attempted=what, error=reason)
            else:
                self._complaint.settled("Kafka takes it again", attempted=what)
                return done
            await self.close()
            await asyncio.sleep(backoff.next())

    async def _create_topics(self) -> None:
        async with asyncio.timeout(_ATTEMPT_SECONDS):
            await ensure_topics(self._settings, COMPACTED, DEAD_READINGS)

    async def _claim(self, restore: Restore) -> tuple[int, dict[int, int]]:
        claim = Claim(self._name, restore, self._write_fence, self.subscriptions.note)
        async with Tail(self._settings, COMPACTED) as tail:
            epoch, ends = await claim.make(tail)
        _log.info("Epoch claimed", extra={"epoch": epoch, "restored_from": claim.read})
        return epoch, ends

    async def _write_fence(self, partition: int, epoch: int) -> int:
        value = partial.encode(partial.fence(self._name, epoch))
        headers = [self.subscriptions.header()]
        record = Record(COMPACTED, self._name.encode(), value, headers, partition)
        (written,) = await self._send([record])
        return int(written.offset)

    async def _send(self, records: list[Record]) -> list[RecordMetadata]:
        async with asyncio.timeout(_ATTEMPT_SECONDS):
            producer = await self._connected()
            sent = [
                await producer.send(
                    record.topic,
                    record.value,
                    key=record.key,
                    headers=record.headers,
                    partition=record.partition,
                )
                for record in records
            ]
            return list(await asyncio.gather(*sent))

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                **self._settings.client_options(),
                acks="all",
                linger_ms=0,
                max_batch_size=512 * 1024,
                max_request_size=1_000_000,
            )
            await self._producer.start()
        return self._producer

    async def _check(self, written: list[RecordMetadata]) -> None:
        """Look at what others wrote between our appends: it may be the fence of a later epoch."""
        offsets: dict[int, list[int]] = {}
        for metadata in written:
            if metadata.topic == COMPACTED:
                offsets.setdefault(metadata.partition, []).append(metadata.offset)
        for partition, ours in offsets.items():
            start, end = self._ends.get(partition, 0), max(ours) + 1
            if min(ours) < start:
                raise LogReplacedError(_replaced(partition, start, min(ours)))
            if end - start != len(ours):
                await self._look(partition, start, end)
            self._ends[partition] = end

    async def _look(self, partition: int, start: int, end: int) -> None:
        """Read what lies between `start` and `end`."""
        async with Tail(self._settings, COMPACTED) as tail:
            try:
                await tail.read(partition, start, end, self._notice)
            except ShorterLogError as error:
                raise LogReplacedError(_replaced(partition, end, None)) from error

    def _notice(self, record: ConsumerRecord) -> None:
        message = own_message(record, self._name)
        if message is not None and message.origin.epoch > self.epoch:
            raise FencedError(
                f"another compactor {self._name!r} began epoch {message.origin.epoch}, after our "
                f"{self.epoch}; only one may run under a name"
            )


def _replaced(partition: int, expected: int, found: int | None) -> str:
    where = "ends before" if found is None else f"goes on at {found}, before"
    return (
        f"partition {partition} of {COMPACTED} {where} the offset {expected} it had reached: the "
        "topic was deleted and created again, or Kafka lost the end of its log; a restart "
        "restores what is there and begins a new epoch"
    )


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        await producer.stop()
    except _FAILURES as error:
        if is_our_cancellation(error):
            raise
        _log.warning("Kafka producer did not stop", extra={"error": repr(error)})
