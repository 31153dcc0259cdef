"""Counting what is durable: the readings in all partials in Kafka."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from sensorpipe_cli.runner.child import Child
from sensorpipe_runtime.kafka.client import PARTITIONS
from sensorpipe_schema import partial
from sensorpipe_schema.names import COMPACTED


async def counted(kafka: Child) -> tuple[int, int]:
    """Return how many readings, and how many partials, are in Kafka."""
    readings = partials = 0
    async with AIOKafkaConsumer(
        bootstrap_servers=f"127.0.0.1:{kafka.port}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    ) as consumer:
        everything = [TopicPartition(COMPACTED, number) for number in range(PARTITIONS)]
        consumer.assign(everything)
        ends = await consumer.end_offsets(everything)
        await consumer.seek_to_beginning()
        while any([await consumer.position(one) < end for one, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    sensors = partial.read(record.value).sensors
                    partials += bool(sensors)  # a fence has none
                    readings += sum(int(each["count"]) for each in sensors.values())
    return readings, partials
