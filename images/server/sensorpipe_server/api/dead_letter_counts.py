"""Numbers of dead letters, from the offsets of their topics in Kafka."""

import asyncio
import logging
import time
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from sensorpipe_runtime.aio import is_being_cancelled
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_schema.names import DEAD_COMPACTED, DEAD_READINGS

ASK_SECONDS: Final = 3.0
"""Longest wait for Kafka, in seconds; without an answer the counts are unknown."""

CACHE_SECONDS: Final = 2.0
"""Seconds for which an answer is cached, so that not every request opens a connection."""

_WAIT_MS: Final = 200

_END_MS: Final = 10
"""Milliseconds for which Kafka waits for new messages at an end."""

log = logging.getLogger(__name__)


class DeadLetterCounts(NamedTuple):
    """Numbers of messages in the dead-letter topics; None if unknown."""

    dead_letters: int | None = None
    """Dead letters of the compactor: invalid messages, readings too old or too far ahead."""
    refused: int | None = None
    """Dead letters of the server: partials that cannot be decoded or stored."""


class DeadLetterCounter:
    """Asks Kafka for the counts, one request at a time, and caches them."""

    def __init__(
        self, settings: KafkaSettings, topics: tuple[str, str] = (DEAD_READINGS, DEAD_COMPACTED)
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._turn = asyncio.Lock()
        self._counts = DeadLetterCounts()
        self._asked_at = float("-inf")

    async def counts(self) -> DeadLetterCounts:
        """Return the counts, unknown where Kafka fails; never raise an error of Kafka."""
        async with self._turn:
            if time.monotonic() - self._asked_at > CACHE_SECONDS:
                self._counts = await self._ask()
                self._asked_at = time.monotonic()
            return self._counts

    async def _ask(self) -> DeadLetterCounts:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await self._count()
        except (TimeoutError, KafkaError, OSError) as error:
            log.info("dead letters cannot be counted", extra={"error": str(error)})
        return DeadLetterCounts()

    async def _count(self) -> DeadLetterCounts:
        partitions = await self._partitions()
        if not any(partitions.values()):
            return DeadLetterCounts()
        consumer = AIOKafkaConsumer(
            client_id="sensorpipe-server",
            fetch_max_wait_ms=_END_MS,
            **self._settings.client_options(),
        )
        try:
            await consumer.start()
            return DeadLetterCounts(
                *[await _messages(consumer, partitions[topic]) for topic in self._topics]
            )
        finally:
            await _stop(consumer)

    async def _partitions(self) -> dict[str, list[TopicPartition]]:
        """Return the partitions of each topic; none where a topic is missing or not visible."""
        found: dict[str, list[TopicPartition]] = {topic: [] for topic in self._topics}
        admin = AIOKafkaAdminClient(**self._settings.client_options())
        try:
            await admin.start()
            # only existing topics: a broker may create a topic whose name is requested
            names = sorted({*self._topics} & {*await admin.list_topics()})
            for topic in await admin.describe_topics(names) if names else []:
                numbers = [entry["partition"] for entry in topic["partitions"]]
                found[topic["topic"]] = [TopicPartition(topic["topic"], n) for n in numbers]
        finally:
            await admin.close()
        return found


async def _stop(consumer: AIOKafkaConsumer) -> None:
    try:
        await consumer.stop()
    except asyncio.CancelledError:  # of a task of its own (aio-libs/aiokafka#647)
        if is_being_cancelled():
            raise


async def _messages(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> int | None:
    """Return how many messages a topic holds; None without partitions."""
    if not partitions:
        return None
    begins: dict[TopicPartition, int] = await consumer.beginning_offsets(partitions)
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    await _correct(consumer, {tp: end for tp, end in ends.items() if end > begins[tp]}, ends)
    return sum(ends[partition] - begins[partition] for partition in partitions)


async def _correct(
    consumer: AIOKafkaConsumer,
    last: dict[TopicPartition, int],
    ends: dict[TopicPartition, int],
) -> None:
    """Read the newest batch of partitions that are not empty, and correct their `ends` by it.

    The end that the embedded Kafka says (Tansu 0.6) may be within its newest batch. A user who may
    not read keeps what Kafka said.
    """
    consumer.assign(list(last))
    for tp, end in last.items():
        consumer.seek(tp, end - 1)
    while last:
        positions = [await consumer.position(tp) >= end for tp, end in last.items()]
        try:
            found = await consumer.getmany(timeout_ms=0 if all(positions) else _WAIT_MS)
        except TopicAuthorizationFailedError:
            return
        for tp, records in found.items():
            if records:
                ends[tp] = max(ends[tp], records[-1].offset + 1)
        if all(positions) and not found:
            return
        await asyncio.sleep(0)
