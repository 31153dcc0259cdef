"""Part d: the generator's publishing against the broker's intake."""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path

import bench_wire
from bench_process import cpu_seconds, program
from bench_result import Aim, Part
from bench_scrape import counter
from bench_workload import TOPICS, payloads
from sensorpipe_cli.runner.child import Child
from support import services
from support.services import running

SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
REPEATS = int(os.environ.get("BENCH_REPEATS", "3"))

GENERATOR = "sensorpipe-generator"
LIMIT = "precomputed bytes on a socket"

SENSOR = """\
apiVersion: sensorpipe.dev/v1alpha1
kind: Sensor
metadata: {name: bench}
spec:
  facility: bench
  count: 100000
  interval: 1s
  measurements:
    - {name: humidity, signal: {normal: {mean: 50, stdev: 0.5}}}
    - {name: pressure, signal: {normal: {mean: 1013, stdev: 10}}}
    - {name: temperature, signal: {normal: {mean: 20, stdev: 0.2}}}
"""
"""Asks for 300,000 readings a second, more than the broker takes."""

_ACKNOWLEDGED = "sensorpipe_generator_acknowledged_total"
_WARM = 20_000


async def run(folder: Path) -> list[Part]:
    """Measure both in turn."""
    part = Part(
        "d. Generator: readings to MQTT",
        f"What Mosquitto acknowledges in {SECONDS:g} s of a generator that is asked for more than "
        "it takes, and as long\nof a client that only writes packets it made beforehand. "
        "Nobody subscribes.",
        limit=LIMIT,
    )
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(running(services.mosquitto(folder / "mqtt")))
        for _ in range(REPEATS):
            part.row(GENERATOR).add(*await _generator(broker.port or 0, folder))
            rate = part.row(GENERATOR).rates[-1]
            part.row(LIMIT).add(*await asyncio.to_thread(_raw, broker.port or 0, rate))
    part.aims = [
        Aim("share of the limit", part.ratio(GENERATOR), 0.8),
        Aim("CPU µs a reading", part.row(GENERATOR).cpu, 3, at_most=True),
    ]
    return [part]


async def _generator(broker: int, folder: Path) -> tuple[float, float]:
    sensor = folder / "sensor.yaml"
    sensor.write_text(SENSOR)
    environ = {
        "SENSORPIPE_MQTT_URL": f"mqtt://127.0.0.1:{broker}",
        "SENSORPIPE_SENSOR": str(sensor),
        "SENSORPIPE_DRAIN": "1s",
    }
    async with program("generator", ["-m", "sensorpipe_generator"], folder, environ) as child:
        await child.listening()
        before = await _beyond(child, _WARM)
        began, cpu = time.perf_counter(), cpu_seconds(child.pid)
        await asyncio.sleep(SECONDS)
        after = await counter(child.port, _ACKNOWLEDGED)
        seconds, used = time.perf_counter() - began, cpu_seconds(child.pid) - cpu
    done = after - before
    return done / seconds, used / done * 1e6


async def _beyond(generator: Child, count: float) -> float:
    """Return how many readings were acknowledged, once it is more than `count`."""
    for _ in range(300):
        acknowledged = await counter(generator.port, _ACKNOWLEDGED)
        if acknowledged > count:
            return acknowledged
        await asyncio.sleep(0.1)
    raise TimeoutError(f"nothing was published\n{generator.tail()}")


def _raw(broker: int, rate: float) -> tuple[float, float]:
    client = bench_wire.RawClient(broker, "bench-raw", clean=True)
    start_ms = time.time_ns() // 1_000_000
    count = int(rate * SECONDS)
    chunks = bench_wire.packets(TOPICS, payloads(count, start_ms), client.window)
    began, cpu = time.perf_counter(), time.thread_time()
    done = client.publish(chunks)
    seconds, used = time.perf_counter() - began, time.thread_time() - cpu
    client.close()
    return done / seconds, used / done * 1e6
