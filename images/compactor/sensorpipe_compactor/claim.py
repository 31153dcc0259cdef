"""Begins an epoch: shuts out whatever a former start may still write, and reads what it wrote."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from aiokafka import ConsumerRecord
from sensorpipe_schema import partial
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.partial import BadPartialError, Origin
from sensorpipe_schema.reading import MAX_AGE_MS

from sensorpipe_compactor.restore import Horizon
from sensorpipe_compactor.tail import Tail

_RETENTION_MS: Final = MAX_AGE_MS + 3_600_000
"""A partial written before this holds only readings that would be refused today as too old."""

Restore = Callable[[CompactedReading], None]
WriteFence = Callable[[int, int], Awaitable[int]]
"""(partition, epoch) to the offset of the fence."""


See = Callable[[ConsumerRecord, Origin], None]


def _ignore(record: ConsumerRecord, origin: Origin) -> None:
    """Take no note."""


@dataclass(slots=True)
class Claim:
    """One attempt to begin an epoch of the compactor `name`."""

    name: str
    restore: Restore
    write_fence: WriteFence
    see: See = _ignore
    """Told of every own record, fences included."""
    read: int = 0
    _horizon: Horizon = field(default_factory=Horizon)
    _earliest: dict[tuple[int, int], Origin] = field(default_factory=dict)
    _fenced: dict[int, int] = field(default_factory=dict)
    _oldest_ms: dict[int, int] = field(default_factory=dict)

    async def make(self, tail: Tail) -> tuple[int, dict[int, int]]:
        """Return the epoch and, for each partition, the offset behind its fence.

        The fences come after the first look and before the last. What a former
        start still writes lies before a fence, and is read here; or behind it,
        and the server does not count it.
        """
        partitions = await tail.partitions()
        ends = await tail.ends(partitions)
        begins = await tail.search_back(ends, self._survey, self._is_enough)
        self._fenced = dict.fromkeys(partitions, self._horizon.since)
        for partition in partitions:
            await tail.read(partition, begins[partition], ends[partition], self._take)
        while True:
            epoch = max(time.time_ns() // 1000, self._horizon.last_epoch + 1)
            fences = {number: await self.write_fence(number, epoch) for number in partitions}
            for partition, offset in fences.items():
                await tail.read(partition, ends[partition], offset + 1, self._take)
            ends = {partition: offset + 1 for partition, offset in fences.items()}
            if self._horizon.last_epoch == epoch:  # otherwise somebody else was quicker
                return epoch, ends

    def _survey(self, record: ConsumerRecord) -> None:
        """Take note of what tells how far back to read."""
        self.read += 1
        partition = record.partition
        oldest = self._oldest_ms.get(partition, record.timestamp)
        self._oldest_ms[partition] = min(oldest, record.timestamp)
        message = own_message(record, self.name)
        if message is None:
            return
        origin = _origin(message)
        self._horizon.add(origin)
        self.see(record, origin)
        earliest = self._earliest.get((partition, origin.epoch), origin)
        self._earliest[partition, origin.epoch] = min(earliest, origin)

    def _is_enough(self, partition: int) -> bool:
        if self._oldest_ms.get(partition, 0) < time.time() * 1000 - _RETENTION_MS:
            return True
        earliest = self._earliest.get((partition, self._horizon.since))
        return earliest is not None and self._horizon.is_beyond(earliest)

    def _take(self, record: ConsumerRecord) -> None:
        """Restore a partial, in the order of writing, unless a fence before it shuts it out."""
        message = own_message(record, self.name)
        if message is None:
            return
        origin = _origin(message)
        self._horizon.add(origin)
        self.see(record, origin)
        fenced = self._fenced.get(record.partition, 0)
        if not message.sensors:
            self._fenced[record.partition] = max(fenced, origin.epoch)
        elif origin.epoch >= fenced:
            self.restore(message)


def _origin(message: CompactedReading) -> Origin:
    origin = message.origin
    return Origin(origin.compactor, origin.epoch, origin.number, origin.received)


def own_message(record: ConsumerRecord, name: str) -> CompactedReading | None:
    """Return the partial or fence in a record, if the compactor `name` wrote it."""
    try:
        message = partial.parse(record.value or b"")
    except BadPartialError:
        return None  # the server takes it to the dead letters
    return message if message.origin.compactor == name else None
