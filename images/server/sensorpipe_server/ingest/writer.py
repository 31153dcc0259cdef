"""Writes batches to MongoDB, and retries until they are durable."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import pymongo
from pymongo.errors import PyMongoError
from sensorpipe_runtime.backoff import retry_backoff
from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_server.ingest import metrics
from sensorpipe_server.ingest.batch import Batch
from sensorpipe_server.ingest.membership import Membership
from sensorpipe_server.ingest.reader import PreparedBatch
from sensorpipe_server.ingest.settlement import Settlement
from sensorpipe_server.storage import logs
from sensorpipe_server.storage.facilities import TIMES_SECONDS
from sensorpipe_server.storage.mongodb import refusal
from sensorpipe_server.storage.mongodb.database import WRITE_SECONDS, Collection
from sensorpipe_server.storage.store import Outcome, Store

QUIET_SECONDS: Final = TIMES_SECONDS
"""Seconds without partials after which the store writes postponed entries."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class SupersededError(Exception):
    """A rebalance came, so this server may no longer commit the batch."""


class Writer:
    """Stores one batch after the other, and passes those that are durable to the settlement."""

    def __init__(
        self,
        membership: Membership,
        store: Store,
        logs_collection: Collection,
        settlement: Settlement,
    ) -> None:
        self._membership = membership
        self._store = store
        self._logs = logs_collection
        self._settlement = settlement
        self._failure_log = ThrottledLogger(log, on_change=False)
        self._fenced_log = ThrottledLogger(log, on_change=False)

    async def run(self, queue: "asyncio.Queue[PreparedBatch | None]") -> None:
        """Store batches from the queue until it yields None."""
        while (prepared := await self._next(queue)) is not None:
            try:
                await self._store_batch(prepared)
            except SupersededError:
                log.info(
                    "batch dropped after a rebalance", extra={"records": prepared.batch.records}
                )

    async def _next(self, queue: "asyncio.Queue[PreparedBatch | None]") -> PreparedBatch | None:
        """Return the next batch; write postponed entries while none comes."""
        while True:
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    return await queue.get()
            except TimeoutError:
                with pymongo.timeout(WRITE_SECONDS):
                    await self._store.finish_noting()

    async def _store_batch(self, prepared: PreparedBatch) -> None:
        batch, begun = prepared.batch, time.perf_counter()
        outcome = await self._retry(
            prepared, lambda seconds: self._store.write(batch.partials, refused_seconds=seconds)
        )
        await self._retry(
            prepared,
            lambda seconds: logs.save(
                self._logs, batch.fences, batch.fenced_at, refused_seconds=seconds
            ),
        )
        self._log_fenced(batch)
        metrics.BATCH_SECONDS.observe(time.perf_counter() - begun)
        _count(batch, outcome)
        refused = batch.refused + outcome.refused
        self._membership.progress.moved()
        self._settlement.add(prepared.generation, prepared.positions, refused)

    def _log_fenced(self, batch: Batch) -> None:
        for place, offsets in batch.fenced_at.items():
            self._fenced_log.warning(
                "partials are not counted: another run of their compactor has fenced them out",
                partition=place.partition,
                partials=len(offsets),
                first_offset=offsets[0],
                last_offset=offsets[-1],
            )

    async def _retry(self, prepared: PreparedBatch, attempt: Callable[[float], Awaitable[T]]) -> T:
        """Retry `attempt` until it succeeds; raise SupersededError after a rebalance.

        Each attempt is passed the seconds for which MongoDB has refused documents, so that it can
        give up on documents that are never accepted.
        """
        backoff, refusals = retry_backoff(), refusal.Refusals()
        while self._membership.generation == prepared.generation:
            try:
                with pymongo.timeout(WRITE_SECONDS):
                    done = await attempt(refusals.seconds())
            except PyMongoError as error:
                refusals.note(error)
                metrics.WRITE_FAILURES.inc()
                self._membership.progress.moved()
                self._failure_log.warning(
                    "batch not stored; trying again",
                    error=str(error)[:500],
                    records=prepared.batch.records,
                )
                await asyncio.sleep(backoff.next())
            else:
                self._failure_log.resolved("batches are stored again")
                return done
        raise SupersededError


def _count(batch: Batch, outcome: Outcome) -> None:
    metrics.BATCH_RECORDS.observe(batch.records)
    metrics.INSERTED.inc(outcome.inserted)
    metrics.REDELIVERED.inc(outcome.redelivered)
    metrics.FENCED.inc(batch.fenced)
    for refused in (*batch.refused, *outcome.refused):
        metrics.DEAD.labels(refused.reason).inc()
    now = time.time()
    for end_ms in {partial.end_ms for partial in batch.partials}:
        metrics.WINDOW_LAG.observe(max(0.0, now - end_ms / 1000))
