"""Kafka to MongoDB: read, prepare, write, commit, in this order and for as long as it takes.

Two tasks with one batch between them: while MongoDB writes a batch, the next one is read,
decoded and encoded. An offset is committed only after everything below it is stored, its
fences too, and its dead letters are in Kafka. A failed write is repeated; a rebalance
drops what is in hand, for whoever has the partition next reads it again.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from sensorpipe_runtime.service import TaskEndedError, is_being_cancelled, supervise
from sensorpipe_schema.complaint import Complaint
from sensorpipe_schema.kafka import KafkaSettings, ensure_topics
from sensorpipe_schema.kafka_trouble import explain
from sensorpipe_schema.names import COMPACTED, DEAD_COMPACTED, SERVER_GROUP

from sensorpipe_server import database
from sensorpipe_server.dead_letter import KafkaDeadLetters
from sensorpipe_server.membership import Membership
from sensorpipe_server.patience import pauses, unless
from sensorpipe_server.reader import Claim, Reader
from sensorpipe_server.store import Store
from sensorpipe_server.writer import Writer

STOP_SECONDS: Final = 10.0
"""To finish the batch in hand when the server stops."""

CLOSE_SECONDS: Final = 3.0

LASTED_SECONDS: Final = 10.0
"""After which a session counts as a good one; one that lacks rights connects, too, and ends."""

_NEVER_MS: Final = 2**31 - 1
_SESSION_MS: Final = 6000
_METADATA_MS: Final = 10_000
_FETCH_BYTES: Final = 4 * 1024 * 1024
"""Of one partition at a time: several batches, so that catching up seldom waits for Kafka."""

log = logging.getLogger(__name__)


class Route(NamedTuple):
    """Which topic is read, by which group, and where dead letters go."""

    topic: str = COMPACTED
    dead_letters: str = DEAD_COMPACTED
    group: str = SERVER_GROUP


_DEFAULT: Final = Route()


class Ingest:
    """Keeps consuming until it is told to stop, through any outage of Kafka or MongoDB."""

    def __init__(
        self, settings: KafkaSettings, db: database.Database, route: Route = _DEFAULT
    ) -> None:
        self._settings = settings
        self._route = route
        self._store = Store(db)
        self._fences = database.fences(db)
        self._membership = Membership()

    @property
    def assigned(self) -> bool:
        """Whether the group has given this server its share of the partitions."""
        return self._membership.assigned

    @property
    def leads(self) -> bool:
        """Whether this server is the one of its group that does what one has to do for all."""
        return 0 in self._membership.partitions

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; then finish and commit what is in hand."""
        backoff, complaint = pauses(), Complaint(log)
        while not stop.is_set():
            connected = math.inf
            try:
                async with (
                    _closing(self._producer()) as producer,
                    _closing(self._consumer()) as consumer,
                ):
                    await unless(stop, self._connect(consumer, producer))
                    connected = time.monotonic()
                    if not stop.is_set():
                        await self._session(consumer, producer, stop)
            except* (KafkaError, OSError) as errors:
                if time.monotonic() - connected > LASTED_SECONDS:
                    backoff.reset()
                    complaint.reset()
                reason = await unless(stop, explain(self._settings, errors.exceptions[0]))
                if reason is not None:
                    complaint.say("no Kafka; trying again", error=reason)
            except* TaskEndedError as errors:
                # a library's own cancellation can end a task unheard (aio-libs/aiokafka#647)
                log.error(  # noqa: TRY400  where it was cancelled the trace does not say
                    "consuming ended unasked; beginning again with new clients",
                    extra={"error": str(errors.exceptions[0])},
                )
            self._membership.on_partitions_revoked(())
            await unless(stop, asyncio.sleep(backoff.next()))

    async def _connect(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        await self._ensure_topics()
        await producer.start()
        await consumer.start()
        consumer.subscribe([self._route.topic], listener=self._membership)

    async def _ensure_topics(self) -> None:
        await ensure_topics(self._settings, self._route.topic, self._route.dead_letters)

    async def _session(
        self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, stop: asyncio.Event
    ) -> None:
        reader = Reader(consumer, self._membership, self._store, self._fences, self._ensure_topics)
        letters = KafkaDeadLetters(producer, self._route.dead_letters)
        writer = Writer(consumer, self._membership, self._store, self._fences, letters)
        queue: asyncio.Queue[Claim | None] = asyncio.Queue(maxsize=1)
        deadline = asyncio.timeout(None)

        async def write() -> None:
            try:
                async with deadline:
                    await writer.run(queue)
            except TimeoutError:
                log.warning("stopped before the batch in hand was stored; it is read again")

        async def finish() -> None:
            await stop.wait()
            deadline.reschedule(asyncio.get_running_loop().time() + STOP_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await queue.put(None)

        await supervise(
            {"write": write(), "finish": finish()},
            {"read": reader.run(queue)},
            may_end=stop.is_set,
        )

    def _consumer(self) -> AIOKafkaConsumer:
        # Retrying a write may take for ever: what says that this member lives is its heartbeat.
        return AIOKafkaConsumer(
            group_id=self._route.group,
            client_id="sensorpipe-server",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_interval_ms=_NEVER_MS,
            session_timeout_ms=_SESSION_MS,
            heartbeat_interval_ms=_SESSION_MS // 3,
            metadata_max_age_ms=_METADATA_MS,
            max_partition_fetch_bytes=_FETCH_BYTES,
            **self._settings.client_options(),
        )

    def _producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            client_id="sensorpipe-server", acks="all", **self._settings.client_options()
        )


@asynccontextmanager
async def _closing(client: Any) -> AsyncIterator[Any]:
    """Stop a client however far it got; without Kafka, leave its good-bye unsaid."""
    try:
        yield client
    finally:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await client.stop()
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            log.info("Kafka client was cancelled by itself while it closed")
        except (TimeoutError, KafkaError, OSError) as error:
            log.info("Kafka client closed without an answer", extra={"error": str(error)})
