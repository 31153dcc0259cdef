"""Dead letters: records that cannot be decoded or stored are sent to a topic of their own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from sensorpipe_runtime.kafka.closing import close_client
from sensorpipe_schema import dead_letters

from sensorpipe_server.storage.pending import RefusedRecord

MAX_DETAIL: Final = 500
"""Largest number of characters of the header `detail`."""

TOPIC_SECONDS: Final = 5.0
"""Longest wait for the metadata of the topic, in seconds; a send would wait for minutes."""

SEND_SECONDS: Final = 30.0
"""Seconds after which an attempt to send fails."""

Headers = list[tuple[str, bytes]]


class UnknownTopicError(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """Kafka has no metadata of a topic."""


class DeadLetters(Protocol):
    """Takes refused records as dead letters."""

    @property
    def topic(self) -> str:
        """Name of the topic of dead letters."""

    async def send(self, refused: list[RefusedRecord]) -> None:
        """Send all, or raise KafkaError or OSError; the list keeps those that are not durable."""


class KafkaDeadLetters:
    """Sends refused records to the dead-letter topic, with a producer of its own.

    After a failure the topic is ensured again, and a new producer sends: an old one may
    be stuck for good (aio-libs/aiokafka#1017).
    """

    def __init__(
        self,
        producer: Callable[[], AIOKafkaProducer],
        topic: str,
        ensure_topic: Callable[[], Awaitable[None]],
    ) -> None:
        self.topic = topic
        self._make_producer = producer
        self._ensure_topic = ensure_topic
        self._producer: AIOKafkaProducer | None = None
        self._failed = False

    async def send(self, refused: list[RefusedRecord]) -> None:
        """Send original key and bytes, with reason and origin as headers.

        Raises KafkaError or OSError; records that are durable leave the list all the same.
        """
        try:
            async with asyncio.timeout(SEND_SECONDS):
                if self._failed:
                    await self._ensure_topic()
                await self._send(await self._connect(), refused)
        except BaseException:
            self._failed = True
            await self.close()
            raise
        self._failed = False

    async def close(self) -> None:
        """Close the producer, if there is one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await close_client(producer)

    async def _connect(self) -> AIOKafkaProducer:
        """Return a producer that knows the topic."""
        if self._producer is None:
            self._producer = self._make_producer()
            await self._producer.start()
        try:
            async with asyncio.timeout(TOPIC_SECONDS):
                await self._producer.partitions_for(self.topic)
        except TimeoutError as error:
            raise UnknownTopicError(f"Kafka does not know the topic {self.topic}") from error
        return self._producer

    async def _send(self, producer: AIOKafkaProducer, refused: list[RefusedRecord]) -> None:
        sent = [asyncio.create_task(self._send_one(producer, letter)) for letter in refused]
        try:
            await asyncio.gather(*sent, return_exceptions=True)
        finally:
            left = [
                letter
                for letter, task in zip(refused, sent, strict=True)
                if not task.done() or task.cancelled() or task.exception() is not None
            ]
            refused[:] = left
        for task in sent:
            task.result()

    async def _send_one(self, producer: AIOKafkaProducer, letter: RefusedRecord) -> None:
        record, headers = letter.record, headers_of(letter)
        key, value = record.key, record.value or b""
        try:
            await producer.send_and_wait(self.topic, value, key=key, headers=headers)
        except MessageSizeTooLargeError:
            # with these headers it no longer fits; they say where the original is
            headers.append((dead_letters.LEFT_OUT, f"{len(value)} bytes".encode()))
        else:
            return
        try:
            await producer.send_and_wait(self.topic, b"", key=key, headers=headers)
        except MessageSizeTooLargeError:
            headers.append(("key_left_out", f"{len(key or b'')} bytes".encode()))
            await producer.send_and_wait(self.topic, b"", headers=headers)


def headers_of(letter: RefusedRecord) -> Headers:
    """Return the reason for which a record was refused, and its origin, as Kafka headers."""
    record = letter.record
    return [
        (dead_letters.REASON, letter.reason.encode()),
        (dead_letters.DETAIL, letter.detail[:MAX_DETAIL].encode("utf-8", "replace")),
        (dead_letters.KAFKA_TOPIC, record.topic.encode()),
        (dead_letters.KAFKA_PARTITION, str(record.partition).encode()),
        (dead_letters.KAFKA_OFFSET, str(record.offset).encode()),
    ]
