"""Part a: draining queued QoS 1 readings from Mosquitto into Kafka 4.3.1."""

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from itertools import chain, pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import bench_telegraf
import bench_wire
import psutil
from bench_process import cpu_seconds, process
from bench_result import Aim, Figure, Part
from bench_tcp import flows
from bench_workload import TOPICS, closing, payloads
from sensorpipe_cli.runner.child import Child
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


class Drained(NamedTuple):
    """What working off messages took, in seconds."""

    seconds: float
    cpu: float
    """CPU of the program."""
    broker_cpu: float

    def of(self, count: int) -> tuple[float, float]:
        """Return messages a second, and the program's CPU µs a message."""
        return count / self.seconds, self.cpu / count * 1e6

    def broker_us(self, count: int) -> float:
        """Return the broker's CPU µs a message."""
        return self.broker_cpu / count * 1e6


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

_APART = 1.25
"""Ratio of the broker's CPU in one run to that of the next from which on they are two regimes."""

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
    if not bench_telegraf.is_there():
        del contenders[TELEGRAF]
        part.how += f"\n{TELEGRAF.partition(',')[0]} is left out: {bench_telegraf.MISSING}."
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(running(services.mosquitto(folder / "mqtt")))
        kafka = await stack.enter_async_context(running(services.kafka(folder / "kafka")))
        for _ in range(REPEATS):
            for name, each in contenders.items():
                count, command = int(READINGS * each.share), each.command()
                taken = await drain(command, count, broker, kafka, folder)
                part.row(name).add(*taken.of(count), beside_us=taken.broker_us(count))
    part.figures = list(_regimes(part))
    part.aims = [
        Aim("share of the limit", part.ratio(COMPACTOR), 0.9),
        Aim("CPU µs a reading", part.row(COMPACTOR).cpu, 2.5, at_most=True),
    ]
    return [part]


def _regimes(part: Part) -> Iterator[Figure]:
    """Yield the limit's rate in each regime of the broker, if it was in more than one.

    They are told apart by the broker's CPU a reading, and not by the rate, which is to be told.
    """
    limit = part.row(LIMIT)
    for regime in regimes(limit.beside_us):
        rate = median(limit.rates[run] for run in regime)
        cpu = median(limit.beside_us[run] for run in regime)
        text = f"the limit where Mosquitto takes {cpu:.2f} µs a reading ({len(regime)} runs)"
        yield Figure(text, rate, "a second")


def regimes(beside_us: list[float]) -> list[list[int]]:
    """Return which runs belong together: in two groups if the gap between these is wide."""
    order = sorted(range(len(beside_us)), key=beside_us.__getitem__)
    steps = [beside_us[after] / beside_us[one] for one, after in pairwise(order)]
    if not steps or max(steps) < _APART:
        return [order]
    cut = steps.index(max(steps)) + 1
    return [order[:cut], order[cut:]]


async def drain(
    command: list[str],
    count: int,
    broker: Child,
    kafka: Child,
    folder: Path,
    *,
    load: Load = NATIVE,
) -> Drained:
    """Return what a program takes for so many messages."""
    client_id, port = f"bench-{secrets.token_hex(4)}", broker.port or 0
    await asyncio.to_thread(_preload, port, client_id, count, load)
    environ = {
        **load.environ,
        "SENSORPIPE_MQTT_URL": f"mqtt://127.0.0.1:{port}",
        "SENSORPIPE_MQTT_CLIENT_ID": client_id,
        "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka.port}",
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
        bench_wire.remove_session(port, client_id)


def _preload(broker: int, client_id: str, count: int, load: Load) -> None:
    """Fill the broker's queue of a session that nobody is connected to."""
    bench_wire.make_session(broker, client_id, load.pattern)
    publisher = bench_wire.RawClient(broker, "bench-preload", clean=True)
    start_ms = time.time_ns() // 1_000_000 - 120_000
    messages = load.messages(count, start_ms)
    publisher.publish(bench_wire.packets(load.topics, messages, publisher.window))
    publisher.close()


def _watch(pid: int, broker: Child, count: int, behind: int) -> Drained:
    """Wait for the last PUBACK; return what it took since the first message.

    It counts from the last look before it: on a busy machine all of it can fall between two.
    With messages `behind`, the CPU seconds are those until they are acknowledged as well, as a
    share of `count`.
    """
    deadline = time.monotonic() + _DEADLINE
    before = _used(pid, broker)
    begun: Drained | None = None
    wall, share = 0.0, count / (count + behind)
    while time.monotonic() < deadline:
        now = _used(pid, broker)
        for flow in flows(broker.port or 0):
            if begun is None and flow.sent > _BEGUN:
                begun = before
            if begun is not None and flow.received >= count * _PUBACK:
                wall = wall or now.seconds - begun.seconds
                if flow.received >= (count + behind) * _PUBACK:
                    ours, brokers = now.cpu - begun.cpu, now.broker_cpu - begun.broker_cpu
                    return Drained(wall, ours * share, brokers * share)
        before = now
        time.sleep(0.005)
    raise TimeoutError(f"the messages were not acknowledged in {_DEADLINE:.0f} s")


def _used(pid: int, broker: Child) -> Drained:
    """Return the time, and the CPU seconds that a program and its broker have used."""
    return Drained(time.perf_counter(), cpu_seconds(pid), cpu_seconds(broker.pid))
