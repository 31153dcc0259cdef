"""Reads the ends of the dead-letter topics, without a consumer group."""

import asyncio
from collections.abc import Collection
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_runtime.kafka.closing import close_client
from sensorpipe_schema.names import DEAD_COMPACTED, DEAD_READINGS

from sensorpipe_server.api.dead_letters.newest import Bounds, Newest, Part, Wanted

AT_ONCE: Final = 100
"""Largest number of records that are handled before other tasks run: some 1 ms of work."""

CLOSE_SECONDS: Final = 1.0
"""Longest wait for the end of the connections, in seconds; they go on closing without us."""

_FETCH_BYTES: Final = 2 * 1024 * 1024
"""Size of an answer of Kafka in bytes, beyond which only its first batch goes."""

_PARTITION_BYTES: Final = 256 * 1024
"""The same of one partition in an answer."""

_WAIT_MS: Final = 200

_END_MS: Final = 10
"""Milliseconds for which Kafka waits for new messages at an end; the next step back waits too."""


class DeadLetterTail:
    """Finds the newest dead letters; each search has a connection of its own."""

    def __init__(
        self,
        settings: KafkaSettings,
        topics: tuple[str, str] = (DEAD_READINGS, DEAD_COMPACTED),
        bounds: Bounds | None = None,
    ) -> None:
        self.topics = topics
        self._settings = settings
        self._bounds = bounds or Bounds()

    async def search(self, wanted: Wanted) -> Newest:
        """Return the newest letters that are wanted, as far as the bounds let it look.

        Raises TimeoutError, KafkaError or OSError where Kafka does not answer in time with the
        newest ones at least.
        """
        consumer = self._consumer()
        deadline = asyncio.get_running_loop().time() + self._bounds.seconds
        try:
            async with asyncio.timeout_at(deadline):
                await consumer.start()
                newest = Newest(wanted, await self._parts(consumer, wanted), self._bounds)
                await _read(consumer, newest, newest.next_steps())
            try:
                async with asyncio.timeout_at(deadline):
                    while parts := newest.next_steps():
                        await _read(consumer, newest, parts)
            except TimeoutError:
                pass  # the newest are there, and the answer says how far back it goes
            return newest
        finally:
            await close_client(consumer, CLOSE_SECONDS)

    async def _parts(self, consumer: AIOKafkaConsumer, wanted: Wanted) -> list[Part]:
        """Return all partitions of the topics that exist and that we may see."""
        # only existing topics: a broker may create a topic whose name is requested
        names = sorted({*self.topics} & {*await consumer.topics()})
        if not names:
            return []
        # asking for one partition makes the client fetch the metadata of the topic
        firsts = [TopicPartition(name, 0) for name in names]
        consumer.assign(firsts)
        await consumer.end_offsets(firsts)
        places = [
            TopicPartition(name, number)
            for name in names
            for number in sorted(consumer.partitions_for_topic(name) or ())
        ]
        begins = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        return [
            Part(tp.topic, tp.partition, begins[tp], ends[tp], ends[tp], wanted.limit)
            for tp in places
        ]

    def _consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            group_id=None,
            client_id="sensorpipe-server",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_END_MS,
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_PARTITION_BYTES,
            **self._settings.client_options(),
        )


async def _read(consumer: AIOKafkaConsumer, newest: Newest, parts: Collection[Part]) -> None:
    """Read the steps of partitions to their ends; other tasks run meanwhile."""
    left = {TopicPartition(part.topic, part.partition): part for part in parts}
    if not left:
        return
    consumer.assign(list(left))
    for tp, part in left.items():
        consumer.seek(tp, part.step.start if part.step else part.low)
    while left:
        at_ends = await _are_at_ends(consumer, left)
        found = await consumer.getmany(
            *left, timeout_ms=0 if at_ends else _WAIT_MS, max_records=AT_ONCE
        )
        for tp, records in found.items():
            step = left[tp].step
            for record in records:
                newest.bytes += len(record.value or b"") + len(record.key or b"")
                if step is not None:
                    step.take(record, newest.wanted)
        if at_ends and not found:
            break
        await asyncio.sleep(0)
    newest.finish(parts)


async def _are_at_ends(consumer: AIOKafkaConsumer, parts: dict[TopicPartition, Part]) -> bool:
    """Whether all steps are read; records that were received already may follow.

    The end that the embedded Kafka says (Tansu 0.6) may be within its newest batch.
    """
    for tp, part in parts.items():
        if part.step is not None and await consumer.position(tp) < part.step.end:
            return False
    return True
