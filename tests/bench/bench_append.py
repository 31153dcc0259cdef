"""Part k: what it costs to write partials to Kafka, with each codec."""

import random
import time
from pathlib import Path

import mqtt5
from bench_result import Aim, Figure, Part
from sensorpipe_cli.runner.child import Child
from sensorpipe_compactor.output.journal import Journal
from sensorpipe_compactor.output.records import Record
from sensorpipe_runtime.kafka.client import COMPRESSIONS
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.reading import Reading, encode
from support import services
from support.compactor_bench import Bench
from support.compactor_parts import kafka_settings
from support.services import running

FACILITIES = 500
"""Of each an append has one partial."""

SENSORS = {"temperature": 20.0, "humidity": 45.0, "pressure": 1013.0}
READINGS = 10
"""Of each sensor in a partial."""

ROUNDS = 9
APPENDS = 20
"""Of each round and codec."""


async def run(folder: Path) -> list[Part]:
    """Append the same partials with each codec in turn."""
    part = Part(
        "k. Appends to Kafka",
        f"{APPENDS} appends of {FACILITIES:,} partials of {len(SENSORS)} sensors of {READINGS} "
        f"readings with two decimals, {ROUNDS} times\nwith each codec in turn; CPU of the "
        "compactor's part alone, bytes as they are in Kafka's log.",
        limit="none",
    )
    records = await _records()
    async with running(services.kafka(folder)) as kafka:
        for _ in range(ROUNDS):
            for codec in COMPRESSIONS:
                await _append(part, kafka, folder, codec, records)
    for row in part.rows:
        part.figures.append(Figure(f"{row.name}, least CPU", min(row.cpu_us), "µs a partial"))
    aim = Aim(
        "µs of CPU a partial without a codec", min(part.row("none").cpu_us), 2.5, at_most=True
    )
    part.aims = [aim]
    return [part]


async def _records() -> list[Record]:
    """Return what a compactor writes of some readings of each facility."""
    bench, values = Bench(), random.Random(5)
    for seq in range(1, READINGS + 1):
        for facility in range(FACILITIES):
            source = f"plant-{facility:06d}-0"
            for sensor, center in SENSORS.items():
                value = round(values.gauss(center, 1), 2)
                topic = f"sensor_readings/plant-{facility:06d}/{sensor}"
                payload = encode(Reading(bench.now_ms, value, source, seq))
                qos = mqtt5.QoS.AT_LEAST_ONCE
                bench.give([mqtt5.PublishPacket(topic, payload, qos=qos, packet_id=1)])
    await bench.flush(everything=True)
    return bench.kafka.records


async def _append(
    part: Part, kafka: Child, folder: Path, codec: str, records: list[Record]
) -> None:
    """Add a measurement of one codec, and in the first round how many bytes a partial has."""
    journal = Journal(kafka_settings(kafka), codec, compression=codec)
    await journal.open()
    journal.horizon.is_sure = True  # so that each record has the header
    await journal.append(records)  # connects
    before, wall, cpu = _written(folder), time.perf_counter(), time.process_time()
    for _ in range(APPENDS):
        await journal.append(records)
    number = APPENDS * len(records)
    cpu = time.process_time() - cpu
    part.row(codec).add(number / (time.perf_counter() - wall), cpu / number * 1e6)
    if len(part.row(codec).rates) == 1:
        size = (_written(folder) - before) / number
        part.figures.append(Figure(f"{codec}, a partial in Kafka", size, "bytes"))
    await journal.close()


def _written(folder: Path) -> int:
    return sum(log.stat().st_size for log in folder.glob(f"data/{COMPACTED}-*/*.log"))
