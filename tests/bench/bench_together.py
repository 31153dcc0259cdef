"""Part l: everything together on one machine, at rates that rise until one is not held.

A rate is held if nothing queues up anywhere: at its end Mosquitto has acknowledged everything
within half a second, the compactor has received what Mosquitto has but for half a second, and the
server has stored what is in Kafka but for two.
"""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

from bench_backing import backing
from bench_offsets import Offsets
from bench_paced import Pace, Sent, publishing
from bench_process import children_cpu_seconds, cpu_seconds, program
from bench_result import Figure, Part
from bench_scrape import counter
from sensorpipe_cli.runner.child import Child
from sensorpipe_schema.names import COMPACTED, SERVER_GROUP
from support.pipeline import own_monitoring, until_ready
from support.waiting import eventually

RATES: Final = tuple(
    int(rate)
    for rate in os.environ.get("BENCH_RATES", "10000,20000,30000,40000,60000,80000").split(",")
)
FACILITIES: Final = 100
SENSORS: Final = 3
WARM_UP: Final = 10.0
STEADY: Final = 20.0
_LATE_SECONDS: Final = 0.5
_BROKER_SECONDS: Final = 0.5
_SERVER_SECONDS: Final = 2.0
_FENCES: Final = 100
"""Records in Kafka that are no partials, at most."""


class _Parts(NamedTuple):
    broker: Child
    kafka: Child
    mongod: Child
    compactor: Child
    server: Child
    offsets: Offsets

    def used(self) -> dict[str, float]:
        """Return the CPU seconds of each so far."""
        children = self.broker, self.kafka, self.mongod, self.compactor, self.server
        used = {child.name: cpu_seconds(child.pid) for child in children}
        used[self.server.name] += children_cpu_seconds(self.server.pid)
        return used

    async def counted(self, name: str) -> float:
        """Return a count of the compactor."""
        return await counter(self.compactor.port, f"sensorpipe_compactor_{name}_total")

    async def waiting(self) -> float:
        """Return how many partials in Kafka the server has not stored."""
        return await self.counted("partials") - await self.offsets.committed()


async def run(folder: Path) -> list[Part]:
    """Raise the rate until it is not held."""
    part = Part(
        "l. Everything together, at a rate that is held",
        f"{FACILITIES} facilities of {SENSORS} sensors, QoS 1, from one publisher through "
        f"Mosquitto, compactor, Kafka and server into MongoDB;\nCPU µs a reading of each over "
        f"{STEADY:g} s, after {WARM_UP:g} s; the machine's cores are shared by all of them.",
    )
    best = 0.0
    async with AsyncExitStack() as stack:
        parts = await _started(stack, folder)
        for rate in RATES:
            part.table[f"{rate:,}/s"] = figures = await _at(parts, rate)
            if not figures["held"]:
                break
            best = rate
    part.figures = [Figure("the highest of these rates that is held", best, "readings/s")]
    return [part]


async def _started(stack: AsyncExitStack, folder: Path) -> _Parts:
    parts = await backing(stack, folder)
    environ = parts.environ

    async def start(name: str, **more: str) -> Child:
        argv = ["-m", f"sensorpipe_{name}"]
        child = await stack.enter_async_context(program(name, argv, folder, environ | more))
        await until_ready(child)
        return child

    compactor, server = await start("compactor"), await start("server", **own_monitoring())
    offsets = await stack.enter_async_context(
        Offsets(parts.kafka.port or 0, SERVER_GROUP, COMPACTED)
    )
    return _Parts(*parts, compactor, server, offsets)


async def _at(parts: _Parts, rate: int) -> dict[str, float]:
    """Publish at a rate; return whether it was held, and what each part took for a reading."""
    pace = Pace(FACILITIES, SENSORS, rate)
    received, partials = await parts.counted("received"), await parts.counted("partials")
    async with publishing(parts.broker.port or 0, WARM_UP + STEADY, pace) as publisher:
        await asyncio.sleep(WARM_UP)
        before, began = parts.used(), time.monotonic()
        await asyncio.sleep(STEADY - 1)
        after, readings = parts.used(), rate * (time.monotonic() - began)
        sent = await publisher
        behind = sent.acknowledged - (await parts.counted("received") - received)
        waiting = await parts.waiting()
    partials = (await parts.counted("partials") - partials) / (WARM_UP + STEADY)
    figures = {
        "held": float(is_held(sent, behind / rate, waiting, partials)),
        "readings/s": sent.acknowledged / sent.seconds,
        "in Mosquitto": behind,
        "in Kafka": waiting,
        "partials/s": partials,
        "publisher µs": sent.cpu / sent.acknowledged * 1e6,
    }
    await eventually(lambda: _is_empty(parts))
    return figures | {
        f"{name} µs": (after[name] - before[name]) / readings * 1e6 for name in before
    }


def is_held(sent: Sent, broker_seconds: float, waiting: float, a_second: float) -> bool:
    """Whether nothing has queued up by the end of publishing.

    `broker_seconds` of readings are in the broker, and `waiting` partials in Kafka, of which so
    many come in a second.
    """
    return (
        sent.seconds <= WARM_UP + STEADY + _LATE_SECONDS
        and broker_seconds <= _BROKER_SECONDS
        and waiting <= _FENCES + _SERVER_SECONDS * a_second
    )


async def _is_empty(parts: _Parts) -> bool:
    held = await counter(parts.compactor.port, "sensorpipe_compactor_held")
    return held == 0 and await parts.waiting() <= 0
