"""The partials that are stored: windows of 10,000 readings of each of three sensors."""

import random
from collections.abc import Iterator
from functools import cache

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


@cache
def _value_sets() -> list[tuple[Moments, Sketch]]:
    chance = random.Random(1)
    sets = []
    for _, mean in SENSORS:
        values = [chance.gauss(mean, mean / 20) for _ in range(READINGS)]
        sets.append((Moments.of(values), Sketch.of(values)))
    return sets


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
            for (name, _), (moments, sketch) in zip(SENSORS, _value_sets(), strict=True)
        }
        origin = Origin(compactor, 1, number)
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
