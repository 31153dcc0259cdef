"""Reading Kafka and preparing batches."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pymongo
from aiokafka import AIOKafkaConsumer, TopicPartition
from pymongo.errors import PyMongoError

from sensorpipe_server import fences, metrics
from sensorpipe_server.batch import Batch
from sensorpipe_server.database import READ_SECONDS, Collection
from sensorpipe_server.membership import Membership
from sensorpipe_server.patience import pauses
from sensorpipe_server.store import Store

MAX_RECORDS: Final = 2000
"""Of a batch."""

SLICE: Final = 500
"""Records decoded without a pause; requests are answered in between."""

POLL_MS: Final = 1000
IDLE_SECONDS: Final = 5.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Claim:
    """A batch, and what may be committed once it is stored, in the same generation only."""

    batch: Batch
    generation: int
    positions: dict[TopicPartition, int]


class Reader:
    """Makes batches of what the consumer fetches."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        membership: Membership,
        store: Store,
        fences_stored: Collection,
        ensure_topics: Callable[[], Awaitable[None]],
    ) -> None:
        self._consumer = consumer
        self._membership = membership
        self._store = store
        self._fences = fences_stored
        self._ensure_topics = ensure_topics

    async def run(self, queue: "asyncio.Queue[Claim | None]") -> None:
        """Put batches into the queue until cancelled."""
        idle_since = time.monotonic()
        while True:
            found = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
            if found:
                claim = await self._prepare(found, self._membership.generation)
                if claim is not None:
                    await queue.put(claim)
            elif not self._consumer.assignment() and time.monotonic() > idle_since + IDLE_SECONDS:
                # a broker that lost its memory lost the topics too
                await self._ensure_topics()
            else:
                continue
            idle_since = time.monotonic()

    async def _prepare(
        self, found: dict[TopicPartition, list[Any]], generation: int
    ) -> Claim | None:
        """Return a batch, or None if a rebalance came in between."""
        batch = Batch(inserts=not self._store.looks_first)
        for partition, records in found.items():
            lines = await self._lines(partition, generation)
            if lines is None:
                return None
            received_at = datetime.now(UTC)
            for at in range(0, len(records), SLICE):
                batch.add(records[at : at + SLICE], lines, received_at)
                await asyncio.sleep(0)
            self._note_lag(partition, records[-1].offset + 1)
        if batch.inserts:
            batch.encode()
        positions = {partition: records[-1].offset + 1 for partition, records in found.items()}
        return Claim(batch, generation, positions)

    async def _lines(self, partition: TopicPartition, generation: int) -> fences.Lines | None:
        """Return the fences of a partition, loaded once in each generation."""
        backoff = pauses()
        while self._membership.generation == generation:
            lines = self._membership.lines.get(partition)
            if lines is not None:
                return lines
            try:
                with pymongo.timeout(READ_SECONDS):
                    lines = await fences.load(self._fences, partition.topic, partition.partition)
            except PyMongoError as error:
                metrics.WRITE_FAILURES.inc()
                log.warning("fences cannot be loaded; trying again", extra={"error": str(error)})
                await asyncio.sleep(backoff.next())
            else:
                if self._membership.generation == generation:
                    self._membership.lines[partition] = lines
        return None

    def _note_lag(self, partition: TopicPartition, position: int) -> None:
        high = self._consumer.highwater(partition)
        if high is not None:
            metrics.CONSUMER_LAG.labels(partition.partition).set(max(0, high - position))
