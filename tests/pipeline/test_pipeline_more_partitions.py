"""Partitions are added to the topic of summaries while readings flow."""

from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from sensorpipe_runtime.kafka.client import PARTITIONS
from sensorpipe_schema.names import COMPACTED
from support.pipeline import Pipeline, pipeline, sensor
from support.pipeline_parts import metrics
from support.waiting import eventually, in_thread

MORE = 3 * PARTITIONS


async def raise_partitions(parts: Pipeline) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{parts.kafka.port}")
    await admin.start()
    try:
        await admin.create_partitions({COMPACTED: NewPartitions(total_count=MORE)})
    finally:
        await admin.close()


async def written(parts: Pipeline) -> set[int]:
    """Return the partitions that hold anything."""
    servers = f"127.0.0.1:{parts.kafka.port}"
    async with AIOKafkaConsumer(bootstrap_servers=servers) as consumer:
        ends = await consumer.end_offsets([TopicPartition(COMPACTED, n) for n in range(MORE)])
    return {at.partition for at, end in ends.items() if end}


@pytest.mark.promise
async def test_partitions_raised_while_readings_flow_lose_and_double_nothing(tmp_path: Path):
    async with pipeline(tmp_path) as parts:
        generators = [
            await parts.generate(sensor(f"boiler-{n}", f"facility_{n}", count=1, seed=n))
            for n in range(6)
        ]
        for generator in generators:
            await parts.ready(generator)
        await eventually(in_thread(lambda: metrics(parts.compactor).get("partials", 0) >= 6))
        await parts.stored(1)
        await parts.server.stop(60)  # it is behind when it sees them
        await raise_partitions(parts)
        await eventually(
            in_thread(lambda: "New partitions are fenced" in parts.compactor.log.read_text()),
            state=parts.compactor.tail,
            seconds=180,
        )
        before = metrics(parts.compactor).get("partials", 0)
        await eventually(
            in_thread(lambda: metrics(parts.compactor).get("partials", 0) >= before + 12),
            state=parts.compactor.tail,
        )
        await parts.finish_generators()
        published = sum(
            parts.said(generator, "Generator stopped")["acknowledged"] for generator in generators
        )
        await parts.compactor.stop(60)
        await parts.server.start()
        assert await written(parts) - set(range(PARTITIONS))
        audit = await parts.stored(published)
        totals = audit["totals"]
        assert totals["count"] == published
        assert (totals["lost"], totals["duplicates"]) == (0, 0)
