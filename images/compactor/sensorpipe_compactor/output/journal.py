"""The compacted topic as this compactor's journal: begins a run, appends, notices a rival."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from aiokafka import ConsumerRecord
from aiokafka.errors import InvalidTimestampError, KafkaError, UnknownError
from sensorpipe_runtime.aio import is_our_cancellation
from sensorpipe_runtime.backoff import Backoff
from sensorpipe_runtime.kafka.client import DEFAULT_COMPRESSION, KafkaSettings, ensure_topics
from sensorpipe_runtime.kafka.compaction import refuse_compaction
from sensorpipe_runtime.kafka.errors import explain
from sensorpipe_runtime.throttled_log import ThrottledLogger
from sensorpipe_schema import partial
from sensorpipe_schema.names import COMPACTED, DEAD_READINGS
from sensorpipe_schema.partial import Partial

from sensorpipe_compactor.epoch.claim import Claim, FencedError, is_rival, new_run, rival_text
from sensorpipe_compactor.epoch.coverage import OTHERS_WRITE, covers_header
from sensorpipe_compactor.epoch.horizon import Horizon
from sensorpipe_compactor.epoch.subscriptions import Subscriptions
from sensorpipe_compactor.epoch.tail import ShorterLogError, Tail
from sensorpipe_compactor.output.dead_letters import FAILURES, DeadLetterTopic
from sensorpipe_compactor.output.partitioning import by_partition
from sensorpipe_compactor.output.records import Headers, Record
from sensorpipe_compactor.output.sending import Sending
from sensorpipe_compactor.output.topic_producer import (
    ATTEMPT_SECONDS,
    LogReplacedError,
    TopicProducer,
)

_AGAIN: Final = "Kafka did not take it; trying again"

log = logging.getLogger(__name__)
T = TypeVar("T")


class Journal:
    """Appends partials, one append after the other, each for as long as it takes."""

    def __init__(
        self,
        settings: KafkaSettings,
        name: str,
        subscriptions: Subscriptions | None = None,
        compression: str = DEFAULT_COMPRESSION,
    ) -> None:
        self.run = 0
        """Identifies this start of the compactor in what it writes; 0 before its fences."""
        self.horizon = Horizon()
        """Readings with an earlier `ts` may be in partials of earlier runs."""
        self.former_partials = 0
        """Number of partials of earlier runs that the start found."""
        self.subscriptions = subscriptions or Subscriptions(())
        self.on_attempt: Callable[[], None] = lambda: None
        """Called when an attempt begins and when it has failed."""
        self.clock_ahead_s: Callable[[], int] = lambda: 0
        """Returns by how many seconds our clock is ahead of the sources, or 0."""
        self._throttled_log = ThrottledLogger(log)
        self._failures = 0
        self._producer = TopicProducer(settings, COMPACTED, compression)
        self._limit = self._producer.limit
        self._dead_letters = DeadLetterTopic(settings, self._explain)
        self._settings = settings
        self._compression = compression
        self._name = name
        self._tail: Tail | None = None
        """Reads what others write between our appends; None until it has to, or after a fault."""
        self._ends: dict[int, int] = {}
        """By partition with our fence: the offset below which no other run has fenced us."""

    @property
    def max_bytes(self) -> int:
        """Bytes of the largest record that the compacted topic takes, as far as we know."""
        return self._limit.max_bytes

    @property
    def connected(self) -> bool:
        """Whether there is a producer of partials: a failed attempt ends it."""
        return self._producer.client is not None

    @property
    def retries(self) -> int:
        """Attempts at Kafka that failed and were made again."""
        return self._failures + self._dead_letters.failures

    async def open(self) -> None:
        """Begin a run: fence all others of our name, and learn up to where they wrote."""
        await self._persist("create topics", self._create_topics)
        run = new_run()
        await self._persist("begin a run", lambda: self._claim(run))
        self.run = run

    async def append(self, records: list[Record]) -> set[int]:
        """Return once all records are durable but those that are too large for the topic.

        Returns the places of the latter in the list; they are certain not to be written.
        Raises FencedError if records count no more, LogReplacedError if that is unknown, and
        UncertainAppendError if a record is too large that a failed attempt may have written.
        """
        await self._persist("fence new partitions", self._fence_new_partitions)
        located = by_partition([record.key for record in records], sorted(self._ends))
        sending = Sending(records, located, self._covers(records))
        await self._persist("append", lambda: self._send(sending))
        await self._persist("look for a rival", lambda: self._check_offsets(sending.durable))
        return sending.refused

    def _covers(self, records: list[Record]) -> dict[int, Headers]:
        """Return, by partition, the header that says what the records cover there, if they do."""
        if not self.horizon.is_sure or not all(record.covers_partition for record in records):
            return {}
        return {partition: [covers_header(end)] for partition, end in self._ends.items()}

    async def _send(self, sending: Sending) -> None:
        """Send all that is left, in smaller batches where these are refused as too large."""
        while not sending.is_done:
            await self._producer.send(sending)
            if sending.too_large:
                sizes = {place: sending.records[place].size for place in sending.too_large}
                certain = await self._limit.learn(sizes.values())
                sending.refuse(place for place, size in sizes.items() if size > certain)
                await self._producer.close()  # the next producer makes smaller batches

    async def write_filters(self) -> None:
        """Make durable which filters may be subscribed, before they are: see `Subscriptions`.

        The message is a fence of our own run, which changes nothing.
        """
        await self._persist("write which topics are subscribed", self._fence_again)

    async def _fence_again(self) -> None:
        fence = partial.fence(self._name, self.run, self.horizon.newest_ms)
        await self._write_fence(min(self._ends), fence, None)

    async def look_again_at_limit(self) -> None:
        """Ask how large a record the compacted topic takes: the limit may have been raised."""
        if await self._limit.look_again():
            await self._producer.close()  # the next producer makes larger batches

    async def write_dead_letters(self, letters: list[Record]) -> bool:
        """Write dead letters in one attempt of at most 10 s; return whether they are durable."""
        return await self._dead_letters.write(letters)

    async def close(self) -> None:
        """Let go of all connections."""
        await asyncio.gather(
            self._producer.close(), self._dead_letters.producer.close(), self._close_tail()
        )

    async def _persist(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make attempts until one succeeds: the broker keeps what we do not acknowledge."""
        backoff = Backoff()
        while True:
            self.on_attempt()
            try:
                done = await attempt()
            except FAILURES as error:
                if is_our_cancellation(error):
                    raise
                self._failures += 1
                self.on_attempt()
                reason = await self._explain(error)
                self._throttled_log.warning(_AGAIN, attempted=what, error=reason)
            else:
                self._throttled_log.resolved("Kafka takes it again", attempted=what)
                return done
            await self._producer.close()
            await asyncio.sleep(backoff.next())

    async def _explain(self, error: BaseException) -> str:
        text = await explain(self._settings, error)
        if isinstance(error, InvalidTimestampError) and (ahead := self.clock_ahead_s()):
            text += f": this machine's clock is {ahead} s ahead of all sources of readings"
        if isinstance(error, UnknownError) and self._compression != "none":
            text += (  # aiokafka 0.14 does not know Kafka's error 76, UNSUPPORTED_COMPRESSION_TYPE
                f": if this broker does not support {self._compression}, set "
                "SENSORPIPE_KAFKA_COMPRESSION"
            )
        return text

    async def _create_topics(self) -> None:
        """Create what is missing; that dead letters cannot be written keeps no reading back."""
        async with asyncio.timeout(ATTEMPT_SECONDS):
            try:
                await ensure_topics(self._settings, COMPACTED, DEAD_READINGS)
            except KafkaError as error:
                if not await self._has_compacted_topic():
                    raise  # it names both
                await self._dead_letters.warn(error)
            await refuse_compaction(self._settings, COMPACTED)

    async def _has_compacted_topic(self) -> bool:
        try:
            await ensure_topics(self._settings, COMPACTED)
        except KafkaError:
            return False
        return True

    async def _claim(self, run: int) -> None:
        """Fence all partitions, those that appear meanwhile included."""
        claim = Claim(self._name, run, self._write_fence, self.subscriptions.note)
        ends: dict[int, int] = {}
        async with Tail(self._settings, COMPACTED) as tail:
            while new := await tail.partitions() - ends.keys():
                ends |= await claim.fence(tail, sorted(new))
        self._ends, self.former_partials = ends, claim.partials
        is_known = bool(claim.is_known) and not self.subscriptions.others_may_write
        self.horizon = Horizon(
            claim.newest_ms, is_known=is_known, is_shared=self.subscriptions.is_taking_over
        )
        certain_from = claim.newest_ms if is_known else None
        log.info("Run begun", extra={"run": run, "certain_from_ms": certain_from})

    async def _fence_new_partitions(self) -> None:
        """Fence partitions that were added to the topic: only then may they be written to.

        A run that was fenced before they were added finds that in the others, and writes nothing.
        """
        new = await self._producer.partitions() - self._ends.keys()
        if not new:
            return  # or there is no producer: the next append makes one, and asks again
        claim = Claim(
            self._name,
            self.run,
            self._write_fence,
            newest_ms=self.horizon.newest_ms,
            is_known=self.horizon.is_sure,
        )
        async with Tail(self._settings, COMPACTED) as tail:
            await self._check_for_rivals(tail)
            ends = await claim.fence(tail, sorted(new))
            await self._check_for_rivals(tail)
        self._ends |= ends
        self.horizon.newest_ms = max(self.horizon.newest_ms, claim.newest_ms)
        log.info("New partitions are fenced", extra={"partitions": sorted(new)})

    async def _check_for_rivals(self, tail: Tail) -> None:
        """Look for a rival's fence in all partitions that have ours, up to their ends."""
        for partition, end in (await tail.ends(self._ends)).items():
            await tail.read(partition, self._ends[partition], end, self._raise_if_rival)
            self._ends[partition] = max(self._ends[partition], end)

    async def _write_fence(self, partition: int, fence: Partial, covers: int | None) -> int:
        value = partial.encode(fence)
        headers = [self.subscriptions.header()]
        if self.subscriptions.others_may_write:
            headers.append(OTHERS_WRITE)
        if covers is not None:
            headers.append(covers_header(covers))
        record = Record(COMPACTED, self._name.encode(), value, headers)
        return await self._producer.send_one(record, partition)

    async def _check_offsets(self, written: Mapping[int, list[tuple[int, int]]]) -> None:
        """Look at what others wrote between our appends: it may be the fence of another run.

        `written` has, by partition, the first offset and the number of records of our batches.
        """
        for partition, batches in written.items():
            start, first = self._ends.get(partition, 0), min(offset for offset, _ in batches)
            end = max(offset + count for offset, count in batches)
            if first < start:
                raise LogReplacedError(_replaced_text(partition, start, first))
            if end - start != sum(count for _, count in batches):
                await self._check_range(partition, start, end)
            self._ends[partition] = end

    async def _check_range(self, partition: int, start: int, end: int) -> None:
        """Read what lies between `start` and `end`.

        Where several compactors write, that is so at nearly each append: the connection stays.
        """
        if self._tail is None:
            self._tail = await Tail(self._settings, COMPACTED).__aenter__()
        try:
            await self._tail.read(partition, start, end, self._raise_if_rival)
            self._tail.rest()
        except BaseException as error:
            await self._close_tail()
            if isinstance(error, ShorterLogError):
                raise LogReplacedError(_replaced_text(partition, end, None)) from error
            raise

    async def _close_tail(self) -> None:
        tail, self._tail = self._tail, None
        if tail is not None:
            await tail.close()

    def _raise_if_rival(self, record: ConsumerRecord) -> None:
        if is_rival(record, self._name, self.run):
            raise FencedError(rival_text(self._name))


def _replaced_text(partition: int, expected: int, found: int | None) -> str:
    where = "ends before" if found is None else f"goes on at {found}, before"
    return (
        f"partition {partition} of {COMPACTED} {where} the offset {expected} it had reached: the "
        "topic was deleted and created again, or Kafka lost the end of its log; a restart "
        "restores what is there and begins a new run"
    )
