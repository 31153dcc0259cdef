"""Reads our own output in Kafka, from its end backwards."""

import asyncio
import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_runtime.kafka.closing import close_client

_CHUNK: Final = 500
"""Number of records in the first step back; each next step is twice as long."""

_MAX_BACK: Final = 100_000
"""Records of one partition that are read back at least where nothing ends the search."""

_WAIT_MS: Final = 500

_START_SECONDS: Final = 30.0
"""Seconds for connecting."""

_STALL_SECONDS: Final = 10.0
"""Seconds without a record after which the log may have ended earlier than expected."""

Take = Callable[[ConsumerRecord], None]
Enough = Callable[[int, int], bool]


class ShorterLogError(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """A log ends before an offset that it once had: it was replaced, or has lost its end."""


class Tail:
    """Reads one topic without a consumer group. While Kafka is unavailable, it waits."""

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._topic = topic
        self._consumer = AIOKafkaConsumer(
            **settings.client_options(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._consumer.start()
        except BaseException:
            await close_client(self._consumer)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connection."""
        await close_client(self._consumer)

    def rest(self) -> None:
        """Fetch nothing ahead of the next read."""
        self._consumer.pause(*self._consumer.assignment())

    async def partitions(self) -> set[int]:
        """Return the topic's partitions as they are now: at least one, or raise KafkaError."""
        # Asking for the topic first makes the client fetch what it knows nothing of yet.
        self._consumer.assign([TopicPartition(self._topic, 0)])
        await self._consumer.end_offsets([TopicPartition(self._topic, 0)])
        # By itself the client asks every five minutes.
        await self._consumer._client.force_metadata_update()  # noqa: SLF001
        found = self._consumer.partitions_for_topic(self._topic)
        if not found:  # it may be deleted just now
            raise UnknownTopicOrPartitionError(self._topic)
        return set(found)

    async def begins(self, partitions: Collection[int]) -> dict[int, int]:
        """Return the first offset that each partition still holds."""
        wanted = [TopicPartition(self._topic, partition) for partition in partitions]
        found = await self._consumer.beginning_offsets(wanted)
        return {tp.partition: offset for tp, offset in found.items()}

    async def ends(self, partitions: Collection[int]) -> dict[int, int]:
        """Return the end offset of each partition (a lower bound of it, with Tansu)."""
        wanted = [TopicPartition(self._topic, partition) for partition in partitions]
        found = await self._consumer.end_offsets(wanted)
        return {tp.partition: offset for tp, offset in found.items()}

    async def read(self, partition: int, start: int, end: int, take: Take) -> None:
        """Hand the records at offsets from `start` to below `end` to `take`.

        Raises ShorterLogError if the log ends before `end`.
        """
        if start >= end:
            return
        tp = TopicPartition(self._topic, partition)
        self._consumer.assign([tp])
        self._consumer.seek(tp, start)
        moved = time.monotonic()
        while await self._consumer.position(tp) < end:
            found = await self._consumer.getmany(tp, timeout_ms=_WAIT_MS)
            for record in found.get(tp, ()):
                if record.offset >= end:
                    return
                take(record)
            if found:
                moved = time.monotonic()
            elif time.monotonic() - moved > _STALL_SECONDS:
                await self._expect(partition, end)
                moved = time.monotonic()

    async def _expect(self, partition: int, end: int) -> None:
        """Raise ShorterLogError if the partition ends before `end`."""
        found = (await self.ends([partition]))[partition]
        if found < end:
            raise ShorterLogError(
                f"partition {partition} of {self._topic} ends at {found}, before {end}"
            )

    async def search_back(self, ends: dict[int, int], take: Take, enough: Enough) -> dict[int, int]:
        """Hand records to `take` from the ends backwards, until `enough` of each partition.

        `enough` is asked with the partition and the offset that was reached, after every step.
        Returns the offset at which this ended in each partition; after 100,000 records it does.
        """
        begins = await self.begins(ends)
        lows, step = dict(ends), _CHUNK
        left = [p for p in ends if lows[p] > begins[p]]
        while left:
            for partition in left:
                low = max(begins[partition], lows[partition] - step, 0)
                await self.read(partition, low, lows[partition], take)
                lows[partition] = low
            left = [
                p
                for p in left
                if lows[p] > max(begins[p], ends[p] - _MAX_BACK) and not enough(p, lows[p])
            ]
            step *= 2
        return lows
