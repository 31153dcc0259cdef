"""What tests of the compactor with a real Kafka share: its settings, and what the topic holds."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable

from aiokafka import ConsumerRecord, TopicPartition
from sensorpipe_cli.child import Child
from sensorpipe_compactor.claim import own_message
from sensorpipe_compactor.journal import Record
from sensorpipe_compactor.records import partial_record
from sensorpipe_compactor.tail import Tail, Take
from sensorpipe_schema import partial
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.kafka import KafkaSettings
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import Origin, Partial, Summary
from sensorpipe_schema.sketch import Sketch


def kafka_settings(child: Child) -> KafkaSettings:
    return KafkaSettings(f"127.0.0.1:{child.port}", "PLAINTEXT", "PLAIN", None, None, None)


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  what it waits for happens in other processes
            await asyncio.sleep(0.02)


def record(origin: Origin, seqs: Iterable[int], facility: str = "f") -> Record:
    """Return a partial's record that holds these `seq` of the source `a`."""
    held = sorted(seqs)
    moments = Moments(len(held), 0.0, 0.0, 0.0, 0.0)
    sources = {"a": [(seq, seq) for seq in held]}
    summary = Summary(moments, Sketch(zeros=len(held)), sources)
    return partial_record(Partial(facility, 0, 10_000, origin, {"s": summary}))


def seqs_of(message: CompactedReading) -> list[tuple[str, str, int]]:
    """Return (sensor, src, seq) of all that a partial holds."""
    return [
        (entry.sensor, source.src, seq)
        for entry in message.sensors
        for source in entry.sources
        for first, last in partial.pairs(source.bounds)
        for seq in range(first, last + 1)
    ]


async def read_on(tail: Tail, at: TopicPartition, start: int, take: Take) -> None:
    """Read until nothing more comes: Tansu's end is that of the last batch's first record."""
    consumer = tail._consumer
    consumer.assign([at])
    consumer.seek(at, start)
    while more := (await consumer.getmany(at, timeout_ms=300)).get(at):
        for one in more:
            take(one)


async def written(settings: KafkaSettings, name: str) -> list[tuple[int, CompactedReading]]:
    """Return (partition, message) of all that a compactor wrote, each partition in order."""
    found: list[tuple[int, CompactedReading]] = []

    def take(one: ConsumerRecord) -> None:
        message = own_message(one, name)
        if message is not None:
            found.append((one.partition, message))

    async with Tail(settings, COMPACTED) as tail:
        for partition, end in (await tail.ends(await tail.partitions())).items():
            await tail.read(partition, 0, end, take)
            if end:
                await read_on(tail, TopicPartition(COMPACTED, partition), end, take)
    return found


def counted(messages: Iterable[tuple[int, CompactedReading]]) -> Counter[tuple[str, str, int]]:
    """Return how often each reading counts, by the contract of fences and origins."""
    counts: Counter[tuple[str, str, int]] = Counter()
    fenced: dict[int, int] = {}
    last: dict[tuple[str, int], tuple[int, int]] = {}
    for partition, message in messages:
        epoch, number = message.origin.epoch, message.origin.number
        if not message.sensors:
            fenced[partition] = max(fenced.get(partition, 0), epoch)
            continue
        window = message.facility, message.window_start_ms
        if epoch < fenced.get(partition, 0) or (epoch, number) <= last.get(window, (0, 0)):
            continue
        last[window] = epoch, number
        counts.update(seqs_of(message))
    return counts
