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
from sensorpipe_runtime.backoff import retry_backoff
from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_server.ingest import metrics
from sensorpipe_server.ingest.batch import Batch
from sensorpipe_server.ingest.fetch_watch import FetchWatch
from sensorpipe_server.ingest.membership import Membership
from sensorpipe_server.storage import logs
from sensorpipe_server.storage.logs import Log, Place
from sensorpipe_server.storage.mongodb.database import READ_SECONDS, Collection

MAX_RECORDS: Final = 2000
"""Largest number of Kafka records in one batch."""

SLICE: Final = 500
"""Largest number of records decoded before other tasks of the event loop run."""

POLL_MS: Final = 1000
"""Longest wait for records of one fetch, in milliseconds."""

ANSWER_SECONDS: Final = 2.0
"""Longest wait for one fetch, in seconds: while joining its group the consumer exceeds POLL_MS."""

COMMITTED_SECONDS: Final = 30.0
"""Longest wait for a committed offset, in seconds."""

IDLE_SECONDS: Final = 5.0
"""Seconds without partitions after which the topics are created if they are missing."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PreparedBatch:
    """A batch, and the positions to commit once it is stored, unless a rebalance came meanwhile."""

    batch: Batch
    generation: int
    positions: dict[TopicPartition, int]


class Reader:
    """Reads records from Kafka and prepares batches of them."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        membership: Membership,
        logs_collection: Collection,
        log_id: str,
        ensure_topics: Callable[[], Awaitable[None]],
    ) -> None:
        """`log_id` is Kafka's id of the topic."""
        self._consumer = consumer
        self._membership = membership
        self._logs = logs_collection
        self._log_id = log_id
        self._ensure_topics = ensure_topics

    async def run(self, queue: "asyncio.Queue[PreparedBatch | None]") -> None:
        """Put batches into the queue until cancelled.

        Raises FetchesFailedError if Kafka does not answer fetches at all: aiokafka would retry
        with the same client for ever.
        """
        idle_since = time.monotonic()
        watch = FetchWatch()
        while True:
            found = await self._fetch()
            watch.check(self._answer_times(), found or {}, joined=self._membership.is_assigned)
            with watch.paused():
                await self._load_logs(found or {})
                if found:
                    prepared = await self._prepare(found, self._membership.generation)
                    if prepared is not None:
                        await queue.put(prepared)
                elif found is not None and self._is_unassigned_since(idle_since):
                    # a broker that lost its memory lost the topics too
                    await self._ensure_topics()
                else:
                    continue
            idle_since = time.monotonic()

    async def _fetch(self) -> dict[TopicPartition, list[Any]] | None:
        """Return new records by partition, or None while joining the group.

        aiokafka waits for an assignment without a limit. Ending that wait loses no record:
        positions move, and records are taken, only after the last point where it waits.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found: dict[TopicPartition, list[Any]] = await self._consumer.getmany(
                    timeout_ms=POLL_MS, max_records=MAX_RECORDS
                )
        except TimeoutError:
            return None
        return found

    def _is_unassigned_since(self, since: float) -> bool:
        return not self._consumer.assignment() and time.monotonic() > since + IDLE_SECONDS

    def _answer_times(self) -> dict[TopicPartition, int | None]:
        """Return when Kafka last answered a fetch from each partition."""
        assignment = self._consumer.assignment()
        return {
            partition: self._consumer.last_poll_timestamp(partition) for partition in assignment
        }

    async def _prepare(
        self, found: dict[TopicPartition, list[Any]], generation: int
    ) -> PreparedBatch | None:
        """Return a batch of the records, or None if there is nothing to store."""
        batch, positions = Batch(), {}
        for partition, records in found.items():
            known = self._membership.logs.get(partition)
            if known is None:  # a rebalance came
                return None
            received_at = datetime.now(UTC)
            for at in range(0, len(records), SLICE):
                batch.add(records[at : at + SLICE], known, received_at)
                await asyncio.sleep(0)
            positions[partition] = records[-1].offset + 1
            self._note_lag(partition, records)
        return PreparedBatch(batch, generation, positions) if positions else None

    async def _load_logs(self, found: dict[TopicPartition, list[Any]]) -> None:
        """Load the log and the fences of each partition, once in each generation.

        A partition whose stored position is of another log, or lower than the committed one, is
        read from its beginning; the records fetched at the committed position are dropped.
        """
        generation = self._membership.generation
        for partition in self._consumer.assignment():
            if partition in self._membership.logs:
                continue
            place = Place(partition.topic, partition.partition, self._log_id)
            # before the stored position: another server may still store and commit a higher one
            committed = await self._committed_offset(partition)
            known = await self._load_log(place, generation)
            if known is None:  # a rebalance came
                return
            self._membership.logs[partition] = known
            is_restored = known.is_older_than(committed)
            if known.is_new or is_restored:
                found.pop(partition, None)
                self._consumer.seek(partition, 0)
                _log_beginning(known, committed, is_restored=is_restored)

    async def _committed_offset(self, partition: TopicPartition) -> int | None:
        """Return the committed offset, or raise KafkaError or OSError."""
        async with asyncio.timeout(COMMITTED_SECONDS):
            committed: int | None = await self._consumer.committed(partition)
        return committed

    async def _load_log(self, place: Place, generation: int) -> Log | None:
        """Return the log of a partition, retrying while MongoDB is unavailable."""
        backoff, throttled = retry_backoff(), ThrottledLogger(log, on_change=False)
        while self._membership.generation == generation:
            try:
                with pymongo.timeout(READ_SECONDS):
                    known = await logs.load(self._logs, place)
            except PyMongoError as error:
                metrics.WRITE_FAILURES.inc()
                self._membership.progress.moved()
                throttled.warning("fences cannot be loaded; trying again", error=str(error)[:500])
                await asyncio.sleep(backoff.next())
            else:
                throttled.resolved("fences can be loaded again")
                return known if self._membership.generation == generation else None
        return None

    def _note_lag(self, partition: TopicPartition, records: list[Any]) -> None:
        if not self._consumer.assignment() or partition not in self._consumer.assignment():
            return
        high = self._consumer.highwater(partition) or 0
        end = max(high, records[-1].offset + 1)
        self._membership.note_read(partition, records[0].offset, end)


def _log_beginning(known: Log, committed: int | None, *, is_restored: bool) -> None:
    """Log that a partition is read from its beginning, and why."""
    partition = known.place.partition
    if is_restored:
        log.warning(
            "reading a partition from its beginning: less is stored than was committed, "
            "as in a restored backup",
            extra={"partition": partition, "stored": known.position, "committed": committed},
        )
        return
    log.info(
        "reading a partition from its beginning: no position of this log is stored",
        extra={"partition": partition, "log": known.place.log, "stored_log": known.stored_log},
    )
