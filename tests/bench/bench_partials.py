"""The partials that are stored: windows of 10,000 readings of each of three sensors."""

from collections.abc import Iterator
from functools import cache

import numpy as np
from aiokafka import AIOKafkaProducer
from bench_workload import SENSORS
from sensorpipe_schema import partial
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import Origin, Partial, Summary
from sensorpipe_schema.sketch import Sketch

FACILITIES = 30
WINDOW_MS = 10_000
READINGS = 10_000
START_MS = 1_790_000_000_000
RUN = 0x5E25_01D3_77AA_4C19
"""Random, as a compactor's: a small number would take less room."""
VARIETY = 101
"""Different summaries of a sensor: too many for two of the same to be compressed together."""


@cache
def summaries(variant: int) -> list[tuple[str, Moments, Sketch]]:
    """Return the sensors of a window; there are `VARIETY` variants, from 0 on."""
    chance = np.random.default_rng(variant)
    made = []
    for name, mean in SENSORS:
        values = chance.normal(mean, mean / 20, READINGS).tolist()
        made.append((name, Moments.of(values), Sketch.of(values)))
    return made


def partials(count: int, compactor: str, first_number: int) -> Iterator[tuple[str, bytes]]:
    """Yield (facility, message) of `count` windows; the same windows for the same count."""
    for index in range(count):
        turn, place = divmod(index, FACILITIES)
        facility = f"bench-{place:02}"
        start = START_MS + turn * WINDOW_MS
        number = first_number + index
        first = number * READINGS + 1
        sensors = {
            name: Summary(moments, sketch, {compactor: [(first, first + READINGS - 1)]})
            for name, moments, sketch in summaries(index % VARIETY)
        }
        origin = Origin(compactor, RUN, number, start + WINDOW_MS)
        window = Partial(facility, start, start + WINDOW_MS, origin, sensors)
        yield facility, partial.encode(window)


async def produce(kafka: int, count: int, compactor: str, first_number: int) -> None:
    """Write partials to Kafka."""
    producer = AIOKafkaProducer(
        bootstrap_servers=f"127.0.0.1:{kafka}", acks="all", max_batch_size=1 << 19
    )
    async with producer:
        for facility, message in partials(count, compactor, first_number):
            await producer.send(COMPACTED, message, facility.encode())
        await producer.flush()
