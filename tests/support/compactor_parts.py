"""What tests of the compactor with a real Kafka share: its settings, and what the topic holds."""

from collections import Counter
from collections.abc import Iterable

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError
from sensorpipe_cli.runner.child import Child
from sensorpipe_compactor.epoch.claim import read_own
from sensorpipe_compactor.epoch.tail import Tail, Take
from sensorpipe_compactor.output.records import Record
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_schema import partial
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import Origin, Partial, Summary
from sensorpipe_schema.sketch import Sketch
from support.waiting import eventually


def kafka_settings(child: Child) -> KafkaSettings:
    return KafkaSettings(f"127.0.0.1:{child.port}", "PLAINTEXT", "PLAIN", None, None, None)


async def remake(settings: KafkaSettings) -> None:
    """Delete the compacted topic and create it again, empty."""
    admin = AIOKafkaAdminClient(**settings.client_options())
    await admin.start()
    try:
        await admin.delete_topics([COMPACTED])

        async def is_gone() -> bool:
            return COMPACTED not in await admin.list_topics()

        await eventually(is_gone)
    finally:
        await admin.close()

    async def is_made() -> bool:
        try:
            await ensure_topics(settings, COMPACTED)
        except UnknownTopicOrPartitionError:
            return False
        return True

    await eventually(is_made)


def record(origin: Origin, seqs: Iterable[int], facility: str = "f") -> Record:
    """Return a partial's record that holds these `seq` of the source `a`."""
    held = sorted(seqs)
    moments = Moments(len(held), 0.0, 0.0, 0.0, 0.0)
    sources = {"a": [(seq, seq) for seq in held]}
    summary = Summary(moments, Sketch(zeros=len(held)), sources)
    message = Partial(facility, 0, 10_000, origin, {"s": summary})
    return Record(COMPACTED, facility.encode(), partial.encode(message), [])


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
        if read_own(one, name) is not None:
            found.append((one.partition, partial.parse(one.value)))

    async with Tail(settings, COMPACTED) as tail:
        for partition, end in (await tail.ends(await tail.partitions())).items():
            await tail.read(partition, 0, end, take)
            if end:
                await read_on(tail, TopicPartition(COMPACTED, partition), end, take)
    return found


def counted(messages: Iterable[tuple[int, CompactedReading]]) -> Counter[tuple[str, str, int]]:
    """Return how often each reading counts, by the contract of fences, origins and itemized ones.

    All windows of a test are taken for one: no reading is in two.
    """
    counts: Counter[tuple[str, str, int]] = Counter()
    itemized: set[tuple[str, str, int]] = set()
    fence: dict[int, int] = {}
    stored: set[tuple[int, int]] = set()
    for partition, message in messages:
        run, number = message.origin.run, message.origin.number
        if not message.sensors:
            fence[partition] = run
        elif fence.get(partition, run) == run and (run, number) not in stored:
            stored.add((run, number))
            (itemized if message.itemized else counts).update(seqs_of(message))
    counts.update(itemized - set(counts))
    return counts
