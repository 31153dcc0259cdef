"""Kafka to MongoDB: read, prepare, write, commit, in this order, with retries.

Three tasks: while MongoDB writes a batch, the next one is read and decoded, and the stored ones
are settled. An offset is committed only after all partials and fences below it are stored and
its dead letters are in Kafka. A failed write is repeated. A rebalance drops the batches in
memory; the next owner of the partition reads them again.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from sensorpipe_runtime.aio import cancel_on
from sensorpipe_runtime.backoff import retry_backoff
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_runtime.kafka.closing import close_client
from sensorpipe_runtime.kafka.compaction import refuse_compaction
from sensorpipe_runtime.kafka.errors import explain
from sensorpipe_runtime.kafka.topic_queries import TopicQueries, topic_id
from sensorpipe_runtime.service import TaskEndedError, supervise
from sensorpipe_runtime.throttled_log import ThrottledLogger
from sensorpipe_schema.names import COMPACTED, DEAD_COMPACTED, SERVER_GROUP

from sensorpipe_server.ingest.dead_letter import DeadLetters, KafkaDeadLetters
from sensorpipe_server.ingest.membership import Membership
from sensorpipe_server.ingest.positions import Positions
from sensorpipe_server.ingest.reader import MAX_RECORDS, PreparedBatch, Reader
from sensorpipe_server.ingest.settlement import LettersLeftOutError, Settlement
from sensorpipe_server.ingest.writer import Writer
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.rollups.edge import Edge
from sensorpipe_server.storage.rollups.past import Past
from sensorpipe_server.storage.store import Store

STOP_SECONDS: Final = 10.0
"""Seconds to finish the current batch when the server stops."""

SUCCESS_SECONDS: Final = 10.0
"""Seconds after which a session counts as successful; one without authorization ends sooner."""

LOG_SECONDS: Final = 10.0
"""Seconds between two checks whether the topic was created again."""

_NEVER_MS: Final = 2**31 - 1
"""Largest number of milliseconds that Kafka accepts, used as no limit."""

_SESSION_MS: Final = 6000
_METADATA_MS: Final = 10_000
_FETCH_BYTES: Final = 4 * 1024 * 1024
"""Largest number of bytes in one fetch from a partition.

It holds several batches, so that catching up seldom waits for Kafka.
"""

log = logging.getLogger(__name__)


class LogReplacedError(Exception):
    """The topic was deleted and created again while it was read."""


class Route(NamedTuple):
    """The topic that is read, the topic of dead letters, and the consumer group."""

    topic: str = COMPACTED
    dead_letters: str = DEAD_COMPACTED
    group: str = SERVER_GROUP


_DEFAULT: Final = Route()


class Ingest:
    """Consumes until stopped, through any outage of Kafka or MongoDB."""

    def __init__(
        self,
        settings: KafkaSettings,
        db: database.Database,
        route: Route = _DEFAULT,
        *,
        edge: Edge | None = None,
    ) -> None:
        self._settings = settings
        self._route = route
        self._store = Store(db, Past(db), edge)
        self._logs = database.on_primary(database.logs(db))
        self._membership = Membership()

    @property
    def is_assigned(self) -> bool:
        """Whether the consumer group has assigned partitions to this server."""
        return self._membership.is_assigned

    def is_moving(self) -> bool:
        """Whether storing makes progress, retries included; see Progress. Thread-safe."""
        return self._membership.progress.is_made()

    def is_catching_up(self) -> bool:
        """Whether Kafka has more records than two batches: one being stored, one being read."""
        return self._membership.is_behind(2 * MAX_RECORDS)

    @property
    def leads(self) -> bool:
        """Whether this server leads its group, which the one with partition 0 does."""
        return 0 in self._membership.partitions

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; then finish and commit the current batch."""
        backoff, throttled = retry_backoff(), ThrottledLogger(log)
        while not stop.is_set():
            connected = math.inf
            try:
                async with _closing(self._consumer()) as consumer:
                    log_id = await cancel_on(stop, self._connect(consumer))
                    connected = time.monotonic()
                    if log_id is not None:
                        await self._session(consumer, log_id, stop)
            except* (KafkaError, OSError) as errors:
                if time.monotonic() - connected > SUCCESS_SECONDS:
                    backoff.reset()
                    throttled.reset()
                reason = await cancel_on(stop, explain(self._settings, errors.exceptions[0]))
                if reason is not None:
                    throttled.warning("Kafka is unavailable; trying again", error=reason)
            except* LogReplacedError as errors:
                log.warning(
                    "the topic was created again; reading it from its beginning",
                    extra={"error": str(errors.exceptions[0])},
                )
            except* LettersLeftOutError:
                log.info(
                    "reading again the records left out while dead letters could not be written"
                )
            except* TaskEndedError as errors:
                # aiokafka can cancel tasks of others without an error (aio-libs/aiokafka#647)
                log.error(  # noqa: TRY400  where it was cancelled the trace does not say
                    "consuming ended unexpectedly; starting again with new clients",
                    extra={"error": str(errors.exceptions[0])},
                )
            self._membership.on_partitions_revoked(())
            await cancel_on(stop, asyncio.sleep(backoff.next()))

    async def _connect(self, consumer: AIOKafkaConsumer) -> str:
        """Connect, and return the id that the topic had before anything was read from it."""
        await self._ensure_topics()
        await refuse_compaction(self._settings, self._route.topic)
        log_id = await topic_id(self._settings, self._route.topic)
        if log_id is None:
            raise UnknownTopicOrPartitionError(self._route.topic)
        await consumer.start()
        consumer.subscribe([self._route.topic], listener=self._membership)
        return log_id

    async def _ensure_topics(self) -> None:
        await ensure_topics(self._settings, self._route.topic, self._route.dead_letters)

    async def _ensure_dead_letters(self) -> None:
        await ensure_topics(self._settings, self._route.dead_letters)

    async def _session(self, consumer: AIOKafkaConsumer, log_id: str, stop: asyncio.Event) -> None:
        letters = KafkaDeadLetters(
            self._producer, self._route.dead_letters, self._ensure_dead_letters
        )
        try:
            await self._work(consumer, log_id, letters, stop)
        finally:
            await letters.close()

    async def _work(
        self, consumer: AIOKafkaConsumer, log_id: str, letters: DeadLetters, stop: asyncio.Event
    ) -> None:
        membership, store = self._membership, self._store
        reader = Reader(consumer, membership, self._logs, log_id, self._ensure_topics)
        positions = Positions(consumer, membership, self._logs)
        settlement = Settlement(
            positions, membership, letters, partial(explain, self._settings), positions.adopt
        )
        writer = Writer(membership, store, self._logs, settlement)
        queue: asyncio.Queue[PreparedBatch | None] = asyncio.Queue(maxsize=1)
        deadline = asyncio.timeout(None)

        async def write() -> None:
            try:
                async with deadline:
                    await writer.run(queue)
                    await settlement.finish()
            except TimeoutError:
                log.warning(
                    "stopped before the last batches were stored and committed; they are read again"
                )

        async def finish() -> None:
            await stop.wait()
            deadline.reschedule(asyncio.get_running_loop().time() + STOP_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await queue.put(None)

        await supervise(
            {"write": write(), "finish": finish()},
            {
                "read": reader.run(queue),
                "settle": settlement.run(),
                "watch the log": self._watch_log(log_id),
            },
            may_end=stop.is_set,
        )

    async def _watch_log(self, log_id: str) -> None:
        """Raise LogReplacedError once the topic has another id."""
        with closing(TopicQueries(self._settings)) as queries:
            while True:
                await asyncio.sleep(LOG_SECONDS)
                try:
                    found = await queries.topic_id(self._route.topic)
                except (KafkaError, OSError) as error:
                    log.debug("the topic's id cannot be read", extra={"error": repr(error)})
                    continue
                if found not in (None, log_id):  # a topic that is gone is created elsewhere
                    raise LogReplacedError(
                        f"{self._route.topic}: its id was {log_id} and is {found}"
                    )

    def _consumer(self) -> AIOKafkaConsumer:
        # A write may be retried for ever, so only the heartbeat shows that this member is alive.
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
    """Stop a client whatever its state; without Kafka it does not leave its group."""
    try:
        yield client
    finally:
        await close_client(client)
