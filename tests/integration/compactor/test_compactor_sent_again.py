"""Readings that come again long after they were counted, judged by the server's own fold."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from sensorpipe_cli.runner.child import Child
from sensorpipe_compactor.epoch.coverage import covers_header
from sensorpipe_compactor.epoch.subscriptions import filters_header
from sensorpipe_compactor.epoch.tail import Tail
from sensorpipe_compactor.windowing.sources import SOURCE_BYTES
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_schema import partial
from sensorpipe_schema.names import COMPACTED, READINGS_FILTER
from sensorpipe_schema.reading import Reading, encode
from sensorpipe_server.storage.documents import Document, document
from sensorpipe_server.storage.fold import folded
from support import services
from support.compactor_parts import kafka_settings, remake, written
from support.compactor_process import Process, Source, ready, source
from support.services import running
from support.stepped_clock import SteppedClock
from support.waiting import eventually

COUNT = 600
HOUR = 3600


class Store:
    """What the server keeps of one compactor, whatever becomes of Kafka's log."""

    def __init__(self, kafka: Child, name: str) -> None:
        self.documents: dict[str, Document] = {}
        self._settings = kafka_settings(kafka)
        self._name = name

    async def read(self) -> None:
        """Take all partials of the log as it is, but what a fence shuts out."""
        fence: dict[int, int] = {}
        for partition, message in await written(self._settings, self._name):
            value = message.SerializeToString()
            checked = partial.read(value)
            run = checked.origin.run
            if not checked.sensors:
                fence[partition] = run
            elif fence.get(partition, run) == run:
                made = document(checked, value, datetime.now(UTC))
                self.documents.setdefault(made["_id"], made)

    def counted(self) -> tuple[Counter[tuple[str, int]], float]:
        """Return how often the fold of all windows counts each `src` and `seq`, and all values."""
        counts: Counter[tuple[str, int]] = Counter()
        total = 0.0
        for window in folded(self.documents[key] for key in sorted(self.documents)):
            for summary in (each for some in window.sensors.values() for each in some):
                total += summary.count * summary.mean
                for one in summary.sources:
                    for first, last in partial.pairs(one.bounds):
                        counts.update((one.src, seq) for seq in range(first, last + 1))
        return counts, total


def readings(sources: Iterable[str], first: int, last: int) -> list[bytes]:
    """Return readings of the last half minute, each value its `seq`; all sources take turns."""
    now = time.time_ns() // 1_000_000
    return [
        encode(Reading(now - 10_000 * (seq % 3), float(seq), src, seq))
        for seq in range(first, last + 1)
        for src in sources
    ]


def publish(one: Source, payloads: list[bytes]) -> None:
    one.publisher.publish(f"sensor_readings/{one.name}/s", payloads)


async def nothing(settings: KafkaSettings) -> None:
    """Leave Kafka as it is."""


async def expire(settings: KafkaSettings) -> None:
    """Delete all that the compacted topic holds, as Kafka does with what is too old."""
    async with Tail(settings, COMPACTED) as tail:
        ends = await tail.ends(await tail.partitions())
    admin = AIOKafkaAdminClient(**settings.client_options())
    await admin.start()
    try:
        await admin.delete_records(
            {TopicPartition(COMPACTED, p): RecordsToDelete(end) for p, end in ends.items()}
        )
    finally:
        await admin.close()


@pytest.mark.parametrize("befalls_kafka", [nothing, expire, remake])
async def test_what_is_sent_again_after_a_kill_counts_once(
    tmp_path: Path, mosquitto: Child, befalls_kafka: Callable[[KafkaSettings], Awaitable[None]]
):
    name = f"again_{befalls_kafka.__name__}"
    async with (
        running(services.kafka(tmp_path / "kafka")) as kafka,
        source(mosquitto.port, name) as one,
    ):
        store, payloads = Store(kafka, name), readings("a", 1, COUNT)
        async with ready(Process(tmp_path, name, mosquitto.port, kafka.port)) as process:
            publish(one, payloads)
            await process.reaches("acknowledged", COUNT)
            await process.kill()
        await store.read()
        assert store.counted()[0] == {("a", seq): 1 for seq in range(1, COUNT + 1)}
        await befalls_kafka(kafka_settings(kafka))
        async with ready(Process(tmp_path, name, mosquitto.port, kafka.port)) as process:
            publish(one, readings("a", COUNT + 1, 2 * COUNT))
            publish(one, payloads)  # their publisher was not told
            await process.reaches("acknowledged", 2 * COUNT)
            metrics = await process.metrics()
            assert metrics["itemized"] >= COUNT
            assert await process.stop(30) == 0
        await store.read()
    counts, total = store.counted()
    assert counts == {("a", seq): 1 for seq in range(1, 2 * COUNT + 1)}
    assert total == pytest.approx(sum(range(1, 2 * COUNT + 1)))


async def test_sources_beyond_what_is_remembered_count_once_with_a_kill_in_between(
    tmp_path: Path, mosquitto: Child, kafka: Child
):
    """Of 60 sources 50 are remembered; all send twice, before the kill and after it."""
    name, sources = "crowd", [f"run-{n}" for n in range(60)]
    environ = {"SENSORPIPE_SOURCE_BYTES": str(50 * SOURCE_BYTES)}
    store, payloads = Store(kafka, name), readings(sources, 1, 5)
    async with source(mosquitto.port, name) as one:
        process = Process(tmp_path, name, mosquitto.port, kafka.port, environ)
        async with ready(process):
            publish(one, payloads * 2)
            await eventually(lambda: one.publisher.unacknowledged == 0)
            await process.reaches("acknowledged", len(payloads))
            assert (await process.metrics())["forgotten"] > 0
            await process.kill()
        process = Process(tmp_path, name, mosquitto.port, kafka.port, environ)
        async with ready(process):
            publish(one, payloads)
            await process.reaches("received", len(payloads))
            await eventually(lambda: one.publisher.unacknowledged == 0)
            assert await process.stop(30) == 0
    await store.read()
    assert store.counted()[0] == {(src, seq): 1 for src in sources for seq in range(1, 6)}


async def tell_of_nothing_before(settings: KafkaSettings, name: str) -> None:
    """Let the log tell a start that all readings are certainly new."""
    await ensure_topics(settings, COMPACTED)
    producer = AIOKafkaProducer(**settings.client_options())
    await producer.start()
    try:
        fence = partial.encode(partial.fence(name, 1, 1))
        headers = [covers_header(0), filters_header([READINGS_FILTER])]
        await producer.send_and_wait(COMPACTED, fence, headers=headers)
    finally:
        await producer.stop()


@pytest.mark.parametrize("is_killed", [False, True])
async def test_what_is_sent_again_to_a_clock_that_was_behind_at_the_start_counts_once(
    tmp_path: Path, mosquitto: Child, *, is_killed: bool
):
    """Kafka begins anew, and the machine learns the time only after the compactor has begun."""
    name = f"behind_{is_killed}".lower()
    async with (
        running(services.kafka(tmp_path / "kafka")) as kafka,
        source(mosquitto.port, name) as one,
    ):
        store, payloads = Store(kafka, name), readings("ab", 1, COUNT)
        await tell_of_nothing_before(kafka_settings(kafka), name)
        async with ready(Process(tmp_path, name, mosquitto.port, kafka.port)) as process:
            publish(one, payloads)
            await process.reaches("acknowledged", len(payloads))
            assert (await process.metrics())["itemized"] == 0
            await process.kill()
        await store.read()
        await remake(kafka_settings(kafka))
        clock = SteppedClock(tmp_path / "clock", -HOUR)
        process = Process(tmp_path, name, mosquitto.port, kafka.port, clock.environ)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(ready(process))
            publish(one, payloads)  # their publisher was not told
            await process.reaches("held_ahead", len(payloads))
            if is_killed:
                await process.kill()
            clock.step(0)
            if is_killed:
                process = Process(tmp_path, name, mosquitto.port, kafka.port, clock.environ)
                await stack.enter_async_context(ready(process))
            await process.reaches("acknowledged", len(payloads))
            assert await process.stop(30) == 0
        await store.read()
    counts, total = store.counted()
    assert counts == {(src, seq): 1 for src in "ab" for seq in range(1, COUNT + 1)}
    assert total == pytest.approx(2 * sum(range(1, COUNT + 1)))
