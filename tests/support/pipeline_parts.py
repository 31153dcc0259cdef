"""What tests of the whole pipeline need besides it: foreign publishers, a batch computation."""

import asyncio
import math
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from sensorpipe_cli.client.http import get
from sensorpipe_cli.runner.child import Child
from sensorpipe_runtime.kafka.client import PARTITIONS
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.publisher import Publisher
from sensorpipe_schema.names import COMPACTED, DEAD_READINGS, SERVER_GROUP
from support.pipeline import WINDOW_MS, Pipeline, ask, ask_status, monitoring_url, summary
from support.waiting import eventually, in_thread

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Value(NamedTuple):
    """One reading as a batch computation sees it."""

    sensor: str
    ts: int
    val: float


class DeadLetter(NamedTuple):
    """What must be in the dead-letter topic for one message."""

    topic: str
    reason: str
    payload: bytes


async def mosquitto_pub(broker: Child, topic: str, message: bytes, *options: str) -> None:
    """Publish with Mosquitto's own client: one message, or with `-l` one for each line."""
    program = shutil.which("mosquitto_pub")
    if program is None:
        pytest.skip("no mosquitto_pub here; `apt-get install mosquitto-clients` brings it")
    argv = [program, "-h", "127.0.0.1", "-p", str(broker.port), "-t", topic]
    argv += options if {"-q", "-l"} & {*options} else ("-q", "1", *options)
    if "-l" not in options:
        argv.append("-s" if message else "-n")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stderr=pipe)
    _, errors = await process.communicate(message)
    assert process.returncode == 0, errors


@asynccontextmanager
async def publishing(broker: Child, name: str) -> AsyncIterator[Publisher]:
    """Connect our own publisher."""
    endpoint = Endpoint("127.0.0.1", broker.port or 0)
    publisher = Publisher(endpoint, name, capacity=100_000)
    running = asyncio.create_task(publisher.run(), name=name)
    try:
        yield publisher
    finally:
        await publisher.close()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def metrics(program: Child) -> dict[str, float]:
    """Return a program's metrics by their short names; none while it does not answer."""
    url = monitoring_url(program)
    if ask_status(f"{url}/healthz") != 200:
        return {}
    lines = [line.rpartition(" ") for line in get(f"{url}/metrics").decode().splitlines()]
    prefix = f"sensorpipe_{program.name.partition('-')[0]}_"
    return {
        name.removeprefix(prefix).replace("_total", ""): float(value)
        for name, _, value in lines
        if name.startswith(prefix)
    }


async def settled(parts: Pipeline) -> None:
    """Wait until nothing is on its way: all acknowledged, stored, and committed."""
    await eventually(
        in_thread(lambda: metrics(parts.compactor).get("held") == 0),
        state=lambda: str(metrics(parts.compactor)),
    )
    async with _consumer(parts.kafka, SERVER_GROUP) as consumer:
        partitions = [TopicPartition(COMPACTED, number) for number in range(PARTITIONS)]
        ends = await consumer.end_offsets(partitions)

        async def is_committed() -> bool:
            done = [(await consumer.committed(one) or 0) >= end for one, end in ends.items()]
            return all(done)

        await eventually(is_committed, state=lambda: ends)


async def dead_letters(kafka: Child, count: int) -> list[DeadLetter]:
    """Return all dead letters, once there are so many."""
    found: list[DeadLetter] = []
    async with asyncio.timeout(60), _consumer(kafka) as consumer:
        consumer.assign([TopicPartition(DEAD_READINGS, number) for number in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [_dead_letter(record) for record in records]
    return found


async def dead_headers(kafka: Child) -> list[dict[str, bytes]]:
    """Return the headers of all dead letters so far."""
    found: list[dict[str, bytes]] = []
    async with asyncio.timeout(60), _consumer(kafka) as consumer:
        partitions = [TopicPartition(DEAD_READINGS, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning()
        while any([await consumer.position(one) < end for one, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [dict(record.headers) for record in records]
    return found


def _dead_letter(record: Any) -> DeadLetter:
    headers = dict(record.headers)
    topic = headers["mqtt_topic"]
    assert headers["detail"], record
    assert record.key == topic
    return DeadLetter(topic.decode(), headers["reason"].decode(), record.value)


@asynccontextmanager
async def _consumer(kafka: Child, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    """Look into Kafka without joining the group."""
    async with AIOKafkaConsumer(
        bootstrap_servers=f"127.0.0.1:{kafka.port}",
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    ) as consumer:
        yield consumer


async def counted(parts: Pipeline, facility: str, count: int) -> dict[str, Any]:
    """Wait until the API counts at least so many readings of a facility; return its totals."""
    totals: dict[str, Any] = {}
    url, ready = f"http://127.0.0.1:{parts.server.port}", f"{monitoring_url(parts.server)}/readyz"

    def enough() -> bool:
        if ask_status(ready) == 200:
            totals.update(ask(f"{url}/api/integrity?facility={facility}")["totals"])
        return bool(totals) and totals["count"] + totals["unidentified"] >= count

    await eventually(in_thread(enough), state=lambda: str(totals))
    return totals


async def check(parts: Pipeline, facility: str, values: Iterable[Value]) -> None:
    """Compare what the API says of a facility with a plain batch computation."""
    held = list(values)
    windows = await asyncio.to_thread(parts.windows, facility)
    found = {_start_ms(window): window for window in windows}
    assert len(found) == len(windows)
    assert list(found) == sorted(found, reverse=True)
    expected = batch(held)
    assert found.keys() == expected.keys()
    for start, sensors in expected.items():
        shown = found[start]
        assert {k for k in shown if k.startswith("count_")} == {f"count_{s}" for s in sensors}
        for sensor, numbers in sensors.items():
            assert {key: shown[f"{key}_{sensor}"] for key in numbers} == close(numbers), start
    await _check_stats(parts, facility, held)


async def _check_stats(parts: Pipeline, facility: str, values: list[Value]) -> None:
    by_sensor: dict[str, list[float]] = defaultdict(list)
    for value in values:
        by_sensor[value.sensor].append(value.val)
    path = f"/api/stats?facility={facility}&sensors={','.join(by_sensor)}"
    [stats] = await asyncio.to_thread(parts.api, path)
    assert stats.pop("_id") == facility
    assert stats.keys() == by_sensor.keys()
    for sensor, held in by_sensor.items():
        numbers = summary(held)
        assert {key: stats[sensor][key] for key in numbers} == close(numbers), sensor
        held.sort()
        for name, q in QUANTILES.items():
            exact = held[math.floor(q * (len(held) - 1))]
            assert stats[sensor][name] == pytest.approx(exact, rel=0.01), (sensor, name)


def batch(values: Iterable[Value]) -> dict[int, dict[str, dict[str, float]]]:
    """Reduce all readings at once: by start of window and sensor."""
    groups: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for sensor, ts, val in values:
        groups[ts - ts % WINDOW_MS][sensor].append(val)
    return {
        start: {sensor: summary(held) for sensor, held in sensors.items()}
        for start, sensors in groups.items()
    }


def close(numbers: dict[str, float]) -> Any:
    """Allow for the rounding of a mean and a merge, and for nothing else."""
    return pytest.approx(numbers, rel=1e-9, abs=1e-9)


def _start_ms(window: dict[str, Any]) -> int:
    begin = datetime.fromisoformat(window["window"]["start_time"])
    return round(begin.timestamp() * 1000)
