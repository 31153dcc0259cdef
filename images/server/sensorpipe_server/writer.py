"""Writing batches and committing them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pymongo
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError, KafkaError
from pymongo.errors import PyMongoError

from sensorpipe_server import fences, metrics
from sensorpipe_server.batch import Batch
from sensorpipe_server.database import WRITE_SECONDS, Collection
from sensorpipe_server.dead_letter import DeadLetters
from sensorpipe_server.membership import Membership
from sensorpipe_server.patience import pauses
from sensorpipe_server.reader import Claim
from sensorpipe_server.store import Outcome, Store

T = TypeVar("T")

log = logging.getLogger(__name__)


class SupersededError(Exception):
    """A rebalance came: the batch in hand is no longer ours to commit."""


class Writer:
    """Stores one batch after the other; nothing is committed before it is durable."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        membership: Membership,
        store: Store,
        fences_stored: Collection,
        dead_letters: DeadLetters,
    ) -> None:
        self._consumer = consumer
        self._membership = membership
        self._store = store
        self._fences = fences_stored
        self._dead_letters = dead_letters

    async def run(self, queue: "asyncio.Queue[Claim | None]") -> None:
        """Store what comes through the queue until None comes."""
        while (claim := await queue.get()) is not None:
            try:
                await self._settle(claim)
            except SupersededError:
                log.info("batch dropped after a rebalance", extra={"records": claim.batch.records})

    async def _settle(self, claim: Claim) -> None:
        batch, begun = claim.batch, time.perf_counter()
        outcome = await self._insist(claim, lambda: self._store.write(batch.windows))
        if batch.fences:
            await self._insist(claim, lambda: fences.save(self._fences, batch.fences))
        refused = batch.refused + outcome.refused
        if refused:
            await self._insist(claim, lambda: self._dead_letters.send(refused))
        metrics.BATCH_SECONDS.observe(time.perf_counter() - begun)
        _count(batch, outcome)
        await self._commit(claim)

    async def _insist(self, claim: Claim, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it is done, however long the database or Kafka is away."""
        backoff = pauses()
        while self._membership.generation == claim.generation:
            try:
                with pymongo.timeout(WRITE_SECONDS):
                    return await attempt()
            except (PyMongoError, KafkaError) as error:
                metrics.WRITE_FAILURES.inc()
                log.warning(
                    "batch not stored; trying again",
                    extra={"error": str(error)[:500], "records": claim.batch.records},
                )
                await asyncio.sleep(backoff.next())
        raise SupersededError

    async def _commit(self, claim: Claim) -> None:
        """Commit; where that fails the records are read again, and change nothing."""
        if self._membership.generation != claim.generation:
            raise SupersededError
        try:
            await self._consumer.commit(claim.positions)
        except (KafkaError, IllegalStateError) as error:
            log.info("offsets not committed", extra={"error": str(error)})


def _count(batch: Batch, outcome: Outcome) -> None:
    metrics.BATCH_RECORDS.observe(batch.records)
    metrics.INSERTED.inc(outcome.inserted)
    metrics.MERGED.inc(outcome.merged)
    metrics.REDELIVERED.inc(outcome.redelivered + batch.redelivered)
    metrics.FENCED.inc(batch.fenced)
    for refused in (*batch.refused, *outcome.refused):
        metrics.DEAD.labels(refused.reason).inc()
    now = time.time()
    for end_ms in {window.parts[0].end_ms for window in batch.windows.values()}:
        metrics.WINDOW_LAG.observe(max(0.0, now - end_ms / 1000))
