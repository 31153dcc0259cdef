"""A model of Kafka's compacted topic, and of what the server counts of it."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition
from sensorpipe_compactor.epoch.coverage import covers_header
from sensorpipe_compactor.epoch.tail import Tail, Take
from sensorpipe_schema import partial
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.partial import Origin, Partial, Summary
from sensorpipe_schema.sketch import Sketch

NAME = "claimed"
PARTITIONS = [0, 1]
SPAN = 3
"""Readings of a window: the `seq` of a reading is its time as well."""


@dataclass
class Stored:
    """What a Kafka record has of interest."""

    partition: int
    offset: int
    value: bytes
    headers: list[tuple[str, bytes]]


class Log:
    """The compacted topic, and what the server took of it."""

    def __init__(self, *names: str) -> None:
        self._names = names or (NAME,)
        """The compactors whose partials are of interest."""
        self.certain: Counter[int] = Counter()
        self.itemized: set[int] = set()
        self._stored: set[tuple[int, int]] = set()
        self.remake()

    def remake(self) -> None:
        """Begin with an empty topic; the server keeps what it has."""
        self.partitions: dict[int, list[Stored]] = {number: [] for number in PARTITIONS}
        self.begins = dict.fromkeys(PARTITIONS, 0)
        self._fence: dict[tuple[int, str], int] = {}

    def append(
        self, partition: int, made: Partial, covers: int | None, *more: tuple[str, bytes]
    ) -> int:
        """Append a record with the header for what it covers, if it does, and with others."""
        records = self.partitions[partition]
        value = partial.encode(made)
        headers = [*more] if covers is None else [covers_header(covers), *more]
        records.append(Stored(partition, len(records), value, headers))
        self._count(partition, partial.parse(value))
        return len(records) - 1

    def _count(self, partition: int, message: CompactedReading) -> None:
        """Take what the server counts, by the contract of fences and itemized partials."""
        identity = (message.origin.run, message.origin.number)
        fenced = (partition, message.origin.compactor)
        if message.origin.compactor not in self._names:
            return
        if not message.sensors:
            self._fence[fenced] = message.origin.run
        elif self._fence.get(fenced, identity[0]) == identity[0] and identity not in self._stored:
            self._stored.add(identity)
            if message.itemized:
                self.itemized.update(readings_of(message))
            else:
                self.certain.update(readings_of(message))


class LogTail(Tail):
    """Reads the model's log; everything but the client itself is the real thing."""

    def __init__(self, log: Log) -> None:
        self._topic = "log"
        self._log = log
        self._consumer: Any = self

    async def beginning_offsets(self, wanted: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {at: self._log.begins[at.partition] for at in wanted}

    async def ends(self, partitions: Collection[int]) -> dict[int, int]:
        return {number: len(self._log.partitions[number]) for number in partitions}

    async def read(self, partition: int, start: int, end: int, take: Take) -> None:
        assert start >= self._log.begins[partition] or start >= end
        for record in self._log.partitions[partition][start:end]:
            take(record)


def readings_of(message: CompactedReading) -> list[int]:
    return [
        seq
        for entry in message.sensors
        for source in entry.sources
        for first, last in partial.pairs(source.bounds)
        for seq in range(first, last + 1)
    ]


def made(window: int, origin: Origin, readings: list[int], *, itemized: bool = False) -> Partial:
    count = len(readings)
    moments = Moments(count, 0.0, 0.0, 0.0, 0.0)
    sources = {"src": [(seq, seq) for seq in sorted(readings)]}
    values = {"src": [0.0] * count} if itemized else {}
    summary = Summary(moments, Sketch(zeros=count), sources, values)
    start = window * SPAN
    return Partial("f", start, start + SPAN, origin, {"s": summary}, itemized)
