"""Part k: what a reading costs live, from ten facilities to a hundred thousand."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import bench_telegraf
import bench_wire
import psutil
from bench_counted import counted
from bench_paced import Pace, publishing
from bench_process import cpu_seconds, memory_mb, process, program
from bench_result import Aim, Part
from bench_scrape import counter
from sensorpipe_cli.runner.child import Child
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_runtime.settings import Environment
from sensorpipe_schema.names import COMPACTED, READINGS_FILTER
from support import services
from support.former_runs import write_former_runs
from support.pipeline import until_ready
from support.services import running
from support.waiting import eventually

MOST_FACILITIES: Final = int(os.environ.get("BENCH_FACILITIES", "100000"))
"""Scales with more facilities are left out: for a try."""
STEP_MS: Final = int(os.environ.get("BENCH_STEP_MS", "1"))
"""Milliseconds between two writes of the publisher."""
WINDOW: Final = 10.0
WARM_UP: Final = 1.5 * WINDOW
STEADY: Final = 3 * WINDOW
STEADY_OF_TELEGRAF: Final = 2 * WINDOW
IDLE: Final = 10.0
HERE: Final = Path(__file__).parent

SCALES: Final = tuple(
    Pace(facilities, sensors, step_ms=STEP_MS)
    for facilities, sensors in ((10, 1), (1_000, 1), (10_000, 1), (100_000, 1), (100_000, 3))
)
OF_TELEGRAF: Final = (10, 10_000, 100_000)
AIMS: Final = {10_000: 3.0, 100_000: 12.0}
"""CPU of a reading in µs, by facilities of one sensor."""

Columns = dict[str, float]


class Services(NamedTuple):
    """Broker and Kafka of one measurement, and the settings that name them."""

    broker: Child
    kafka: Child
    folder: Path
    client_id: str

    @property
    def environ(self) -> dict[str, str]:
        """Settings of a program."""
        return {
            "SENSORPIPE_MQTT_URL": f"mqtt://127.0.0.1:{self.broker.port}",
            "SENSORPIPE_MQTT_CLIENT_ID": self.client_id,
            "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{self.kafka.port}",
        }


async def run(folder: Path) -> list[Part]:
    """Measure each scale with services of its own."""
    part = Part(
        "k. Growth: 10,000 readings a second, live",
        f"QoS 1, written every {STEP_MS} ms, over the facilities in turn; CPU over {STEADY:g} s, "
        f"after a reading of each source and {WARM_UP:g} s more;\nidle over {IDLE:g} s with all "
        "windows closed and all sources remembered; the start is one after SIGKILL.",
    )
    for pace in [pace for pace in SCALES if pace.facilities <= MOST_FACILITIES]:
        name = f"{pace.facilities:,} of {pace.sensors}"
        async with _services(folder / f"compactor-{pace.topics}", "compactor") as parts:
            part.table[name] = figures = await _compactor(parts, pace)
        print(name, json.dumps(figures), file=sys.stderr)
        part.aims += _aims(pace, name, figures)
        if pace.sensors == 1 and pace.facilities in OF_TELEGRAF and bench_telegraf.is_there():
            async with _services(folder / f"telegraf-{pace.facilities}", "telegraf") as parts:
                part.table[f"{name}, Telegraf"] = await _telegraf(parts, pace)
    return [part]


def _aims(pace: Pace, name: str, figures: Columns) -> list[Aim]:
    aims = {
        "% of a core, idle": (figures["idle %"], 2.0),
        "ms of the longest block": (figures["block ms"], 50.0),
        "s to start": (figures["start s"], 5.0),
        "sources forgotten": (figures["forgotten"], 0.0),
        "readings lost or doubled": (abs(figures["lost"]), 0.0),
    }
    if pace.sensors == 1 and pace.facilities in AIMS:
        aims["CPU µs a reading"] = figures["CPU µs"], AIMS[pace.facilities]
    if pace == SCALES[-1]:
        aims["MB"] = figures["MB"], 450.0
    return [Aim(f"{name}: {text}", *each, at_most=True) for text, each in aims.items()]


@asynccontextmanager
async def _services(folder: Path, client_id: str) -> AsyncIterator[Services]:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(running(services.mosquitto(folder / "mqtt")))
        kafka = await stack.enter_async_context(running(services.kafka(folder / "kafka")))
        parts = Services(broker, kafka, folder, f"bench-{client_id}")
        settings = KafkaSettings.read(Environment(parts.environ))
        await ensure_topics(settings, COMPACTED, bench_telegraf.TOPIC)
        await write_former_runs(settings, {parts.client_id: [READINGS_FILTER]})
        yield parts


async def _compactor(parts: Services, pace: Pace) -> Columns:
    """Measure a compactor under load, then idle; end it with SIGKILL, and start another."""
    lateness = parts.folder / "lateness"
    environ = {**parts.environ, "BENCH_LATENESS": str(lateness)}
    script = str(HERE / "growth_compactor.py")
    async with program("compactor", [script], parts.folder, environ) as child:
        await until_ready(child)
        figures = await _under_load(parts, child, pace, STEADY)
        await eventually(lambda: _is_settled(child))
        figures |= await _blocks(child, lateness)
        figures["forgotten"] = pace.topics - await _metric(child, "streams")
        figures["early flushes"] = await _metric(child, "early_flushes_total")
        figures["idle %"] = await _idle(child)
        await child.kill()
    readings, partials = await counted(parts.kafka)
    figures["lost"] = figures.pop("acknowledged") - readings
    figures["partials"] = partials / readings
    return figures | {"start s": await _start_seconds(parts)}


async def _telegraf(parts: Services, pace: Pace) -> Columns:
    """Measure Telegraf under load."""
    bench_wire.make_session(parts.broker.port or 0, parts.client_id, READINGS_FILTER)
    command = bench_telegraf.command()
    async with process("telegraf", command, parts.folder, parts.environ) as child:
        figures = await _under_load(parts, child, pace, STEADY_OF_TELEGRAF)
    del figures["acknowledged"], figures["a wake-up"]  # its main thread does not receive
    return figures


async def _under_load(parts: Services, child: Child, pace: Pace, steady: float) -> Columns:
    """Return what readings cost in so many seconds, while they are published."""
    warm_up, port = WARM_UP + pace.round_seconds, parts.broker.port or 0
    async with publishing(port, warm_up + steady + 1, pace) as publisher:
        await asyncio.sleep(warm_up)
        before, began = _used(child, parts.broker), time.monotonic()
        memory = 0.0
        while (left := began + steady - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 1.0))
            memory = max(memory, memory_mb(child.pid))
        after, readings = _used(child, parts.broker), pace.rate * (time.monotonic() - began)
        sent = await publisher
    ours, brokers, wakeups = (end - start for end, start in zip(after, before, strict=True))
    return {
        "readings/s": sent.acknowledged / sent.seconds,
        "CPU µs": ours / readings * 1e6,
        "Mosquitto µs": brokers / readings * 1e6,
        "a wake-up": readings / max(wakeups, 1),
        "MB": memory,
        "acknowledged": sent.acknowledged,
    }


def _used(child: Child, broker: Child) -> tuple[float, float, int]:
    """Return CPU seconds of a program and its broker, and how often its main thread has slept."""
    sleeps = psutil.Process(child.pid).num_ctx_switches().voluntary
    return cpu_seconds(child.pid), cpu_seconds(broker.pid), sleeps


async def _blocks(child: Child, lateness: Path) -> Columns:
    """Return the longest block of the event loop so far, and end its ticker."""
    child.send(signal.SIGUSR1)
    await eventually(lambda: lateness.is_file() and lateness.read_text().endswith("\n"))
    child.send(signal.SIGUSR2)
    wall, cpu, at = json.loads(await asyncio.to_thread(lateness.read_text))
    return {"block ms": wall, "loop CPU ms": cpu, "at s": at}


async def _idle(child: Child) -> float:
    """Return the percentage of a core that a compactor takes which receives nothing."""
    await asyncio.sleep(1)
    cpu, began = cpu_seconds(child.pid), time.monotonic()
    await asyncio.sleep(IDLE)
    return 100 * (cpu_seconds(child.pid) - cpu) / (time.monotonic() - began)


async def _start_seconds(parts: Services) -> float:
    """Return how long a compactor takes from its start until it is ready."""
    began = time.monotonic()
    argv = ["-m", "sensorpipe_compactor"]
    async with program("compactor-again", argv, parts.folder, parts.environ) as child:
        await until_ready(child)
        return time.monotonic() - began


async def _is_settled(child: Child) -> bool:
    """Whether all windows are closed."""
    return await _metric(child, "held") == 0


async def _metric(child: Child, name: str) -> float:
    return await counter(child.port, f"sensorpipe_compactor_{name}")
