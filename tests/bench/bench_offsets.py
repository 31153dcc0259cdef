"""How fast a consumer group works off a topic, by the offsets that it commits."""

import asyncio
import time
from typing import NamedTuple, Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError
from bench_process import cpu_seconds, memory_mb

_DEADLINE = 600.0
_WATCHED_EVERY = 0.05
_THE_ONLY_BROKER = 1


class Drained(NamedTuple):
    """What working off records took."""

    rate: float
    """Records per second."""
    cpu_us: float
    """CPU of the process for each record, in µs, all threads together."""
    mb: float
    """Highest resident memory of the process that was seen."""


class Offsets:
    """What one consumer group has committed of one topic; a context manager."""

    def __init__(self, kafka: int, group: str, topic: str) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{kafka}")
        self._group = group
        self._topic = topic

    async def __aenter__(self) -> Self:
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()

    async def committed(self) -> int:
        """Return how many records the group has committed, all partitions together."""
        try:
            offsets = await self._admin.list_consumer_group_offsets(self._group, _THE_ONLY_BROKER)
        except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
            return 0  # Kafka is making the topic of the groups' offsets
        return sum(
            max(0, offset.offset)
            for partition, offset in offsets.items()
            if partition.topic == self._topic
        )

    async def drained(self, pid: int, before: int, end: int) -> Drained:
        """Watch a process from the first commit after `before` records to that of record `end`.

        Raise TimeoutError if it does not get there in 600 s.
        """
        deadline = time.monotonic() + _DEADLINE
        begun: tuple[int, float, float] | None = None
        mb = 0.0
        while time.monotonic() < deadline:
            done = await self.committed()
            now, cpu, mb = time.perf_counter(), cpu_seconds(pid), max(mb, memory_mb(pid))
            if done >= end and begun is not None:
                stored = done - begun[0]
                rate, used = stored / (now - begun[1]), cpu - begun[2]
                return Drained(rate, used / stored * 1e6, mb)
            if done > before and begun is None:
                begun = done, now, cpu
            await asyncio.sleep(_WATCHED_EVERY)
        raise TimeoutError(f"{self._topic} was not worked off in {_DEADLINE:.0f} s")
