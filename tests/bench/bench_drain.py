"""Part a: draining queued QoS 1 readings from Mosquitto into Kafka 4.3.1."""

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import bench_telegraf
import bench_wire
import psutil
from bench_process import cpu_seconds, process
from bench_result import Aim, Part
from bench_tcp import flows
from bench_workload import TOPICS, closing, payloads
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_runtime.settings import Environment
from sensorpipe_schema.names import COMPACTED
from support import services
from support.services import running

READINGS = int(os.environ.get("BENCH_READINGS", "500000"))
REPEATS = int(os.environ.get("BENCH_REPEATS", "3"))
HERE = Path(__file__).parent

COMPACTOR = "sensorpipe-compactor"
LIMIT = "the same link, only acknowledging"
NAMED_FIRST = "aiomqtt 2.5, same window maths"
TELEGRAF = "Telegraf 1.37.2, windows of the wall clock"


class Load(NamedTuple):
    """Messages that are queued, and what a program needs to take them."""

    pattern: str
    topics: list[str]
    messages: Callable[[int, int], Iterator[tuple[int, bytes]]]
    """Makes (index of topic, payload) from how many are counted and the Unix time in milliseconds
    of the first; there may be more behind them."""
    behind: int = 0
    """How many of those behind count for the CPU time, but not for the rate."""
    environ: Mapping[str, str] = {}


class Contender(NamedTuple):
    """A program that works off the queue."""

    command: Callable[[], list[str]]
    share: float = 1.0
    """How many of the readings: a slow one would take minutes with all of them."""


def _python(*argv: str) -> Contender:
    return Contender(lambda: [sys.executable, *argv])


CONTENDERS = {
    COMPACTOR: _python("-m", "sensorpipe_compactor"),
    LIMIT: _python(str(HERE / "drain_only_acknowledging.py")),
    NAMED_FIRST: _python(str(HERE / "drain_with_aiomqtt.py"))._replace(share=0.1),
    TELEGRAF: Contender(bench_telegraf.command),
}


def _readings(count: int, start_ms: int) -> Iterator[tuple[int, bytes]]:
    return chain(payloads(count, start_ms), closing(count, start_ms))


NATIVE = Load("sensor_readings/#", TOPICS, _readings)

_PUBACK = 4
_BEGUN = 2000
_DEADLINE = 600.0


async def run(folder: Path) -> list[Part]:
    """Measure all contenders in turn."""
    part = Part(
        "a. Compactor: readings from MQTT to Kafka",
        f"{READINGS:,} queued QoS 1 readings ({READINGS // 10:,} for aiomqtt) of a persistent "
        "session; from the first\nbyte that Mosquitto sends to the PUBACK of the last of them, "
        "by the kernel's count of the connection's bytes.\nA reading of a later window behind "
        "them closes theirs, so no wall clock is waited for.",
        limit=LIMIT,
    )
    contenders = dict(CONTENDERS)
    if not bench_telegraf.PROGRAM.is_file():
        del contenders[TELEGRAF]
        part.how += f"\n{TELEGRAF.partition(',')[0]} is left out: {bench_telegraf.MISSING}."
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(running(services.mosquitto(folder / "mqtt")))
        kafka = await stack.enter_async_context(running(services.kafka(folder / "kafka")))
        for _ in range(REPEATS):
            for name, each in contenders.items():
                count, command = int(READINGS * each.share), each.command()
                seconds, cpu = await drain(
                    command, count, broker.port or 0, kafka.port or 0, folder
                )
                part.row(name).add(count / seconds, cpu / count * 1e6)
    part.aims = [
        Aim("share of the limit", part.ratio(COMPACTOR), 0.9),
        Aim("CPU µs a reading", part.row(COMPACTOR).cpu, 2.5, at_most=True),
    ]
    return [part]


async def drain(
    command: list[str], count: int, broker: int, kafka: int, folder: Path, *, load: Load = NATIVE
) -> tuple[float, float]:
    """Return the seconds, and the CPU seconds, that a program takes for so many messages."""
    client_id = f"bench-{secrets.token_hex(4)}"
    await asyncio.to_thread(_preload, broker, client_id, count, load)
    environ = {
        **load.environ,
        "SENSORPIPE_MQTT_URL": f"mqtt://127.0.0.1:{broker}",
        "SENSORPIPE_MQTT_CLIENT_ID": client_id,
        "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka}",
    }
    settings = KafkaSettings.read(Environment(environ))
    await ensure_topics(settings, COMPACTED, bench_telegraf.TOPIC)
    try:
        async with process(client_id, command, folder, environ) as child:
            try:
                return await asyncio.to_thread(_watch, child.pid, broker, count, load.behind)
            except psutil.NoSuchProcess as error:
                await child.wait()
                raise RuntimeError(child.exit_report()) from error
    finally:
        bench_wire.remove_session(broker, client_id)


def _preload(broker: int, client_id: str, count: int, load: Load) -> None:
    """Fill the broker's queue of a session that nobody is connected to."""
    bench_wire.make_session(broker, client_id, load.pattern)
    publisher = bench_wire.RawClient(broker, "bench-preload", clean=True)
    start_ms = time.time_ns() // 1_000_000 - 120_000
    messages = load.messages(count, start_ms)
    publisher.publish(bench_wire.packets(load.topics, messages, publisher.window))
    publisher.close()


def _watch(pid: int, broker: int, count: int, behind: int) -> tuple[float, float]:
    """Wait for the last PUBACK; return the wall and CPU seconds since the first message.

    They count from the last look before it: on a busy machine all of it can fall between two.
    With messages `behind`, the CPU seconds are those until they are acknowledged as well, as a
    share of `count`.
    """
    deadline = time.monotonic() + _DEADLINE
    before = time.perf_counter(), cpu_seconds(pid)
    begun: tuple[float, float] | None = None
    wall = 0.0
    while time.monotonic() < deadline:
        now, cpu = time.perf_counter(), cpu_seconds(pid)
        for flow in flows(broker):
            if begun is None and flow.sent > _BEGUN:
                begun = before
            if begun is not None and flow.received >= count * _PUBACK:
                wall = wall or now - begun[0]
                if flow.received >= (count + behind) * _PUBACK:
                    return wall, (cpu - begun[1]) * count / (count + behind)
        before = now, cpu
        time.sleep(0.005)
    raise TimeoutError(f"the messages were not acknowledged in {_DEADLINE:.0f} s")
