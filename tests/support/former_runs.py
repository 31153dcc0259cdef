"""Runs of compactors before those of a test, which knew that there was nothing before them."""

from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaProducer
from sensorpipe_compactor.epoch.coverage import covers_header
from sensorpipe_compactor.epoch.subscriptions import filters_header
from sensorpipe_runtime.kafka.client import PARTITIONS, KafkaSettings, ensure_topics
from sensorpipe_schema import partial
from sensorpipe_schema.names import COMPACTED


async def write_former_runs(settings: KafkaSettings, filters: Mapping[str, Iterable[str]]) -> None:
    """Write the fences of a run of each compactor, by its name with the filters that it had.

    A compactor that begins behind them takes readings for certain from its first one on.
    """
    await ensure_topics(settings, COMPACTED)
    producer = AIOKafkaProducer(**settings.client_options())
    await producer.start()
    try:
        for name, held in filters.items():
            value = partial.encode(partial.fence(name, 1, 0))
            headers = [filters_header(held), covers_header(0)]
            for partition in range(PARTITIONS):
                await producer.send_and_wait(
                    COMPACTED, value, name.encode(), partition=partition, headers=headers
                )
    finally:
        await producer.stop()
