"""Part i: what live events cost while nobody, one client or a thousand listen.

`bench_live.py PORT CLIENTS` is those clients: they read until a line on standard input ends them.
"""

import asyncio
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import uvloop
from bench_process import children_cpu_seconds, cpu_seconds, memory_mb, program
from bench_result import Aim, Figure, Part
from bench_scrape import answer
from psutil import Process
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_schema.partial import encode
from sensorpipe_server.ingest.batch import Batch
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.store import Store
from support import services
from support.live_streams import listening
from support.server_parts import batch_of, partial, summary
from support.services import running

RATE: Final = 5000
CLIENTS: Final = 1000
EVENTS: Final = 20
"""Windows a second that each of the many clients gets."""
SECONDS: Final = 4
FACILITIES: Final = 5000
PROBES: Final = 40
SENSORS: Final = ("humidity", "pressure", "temperature")


class Cost(NamedTuple):
    """CPU of one partial, in µs."""

    mongod: float
    api: float


class Writer:
    """Stores partials of new windows directly, and measures what that costs."""

    def __init__(self, db: database.Database, mongod: int, server: int) -> None:
        self._store = Store(db)
        self._pids = mongod, server
        self._number = 0

    def batch(self, count: int) -> Batch:
        """Return the partials of the next windows."""
        readings = {name: summary((n, 20.0 + n) for n in range(1, 51)) for name in SENSORS}
        messages = []
        for number in range(self._number, self._number + count):
            window, facility = divmod(number, FACILITIES)
            origin = {"facility": f"facility_{facility}", "window": window, "number": number + 1}
            messages.append(encode(partial(readings, **origin)))  # type: ignore[arg-type]
        self._number += count
        return batch_of(*messages)

    async def write(self, rate: int, at_once: int) -> Cost:
        """Store so many a second for SECONDS; return the cost of each."""
        batches = [self.batch(at_once) for _ in range(rate * SECONDS // at_once)]
        mongod, server = self._pids
        cpu, api, began = cpu_seconds(mongod), children_cpu_seconds(server), time.monotonic()
        for number, batch in enumerate(batches):
            due = began + number * at_once / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._store.write(batch.partials)
        await asyncio.sleep(1)  # until the events are sent
        scale = 1e6 / (len(batches) * at_once)
        return Cost(
            (cpu_seconds(mongod) - cpu) * scale, (children_cpu_seconds(server) - api) * scale
        )

    async def milliseconds(self, port: int) -> list[float]:
        """Return how long single windows take from their insert to their event."""
        taken = []
        async with listening(port) as stream:
            for _ in range(PROBES):
                batch = self.batch(1)
                await asyncio.sleep(random.random())
                began = time.monotonic()
                await self._store.write(batch.partials)
                await stream.event()
                taken.append((time.monotonic() - began) * 1000)
        return taken


async def run(folder: Path) -> list[Part]:
    """Measure all of it."""
    part = Part(
        "i. Live events",
        f"Partials of 3 sensors are stored in a replica set of one, {RATE:,} a second for "
        f"{SECONDS} s; then {EVENTS} a second,\nof which {CLIENTS:,} clients get all.",
    )
    async with AsyncExitStack() as stack:
        kafka = await stack.enter_async_context(running(services.kafka(folder / "kafka")))
        mongod = embedded.mongod_replica_set(free_port(), folder / "mongodb")
        await stack.enter_async_context(running(mongod))
        uri = f"mongodb://127.0.0.1:{mongod.port}/live"
        environ = {
            "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka.port}",
            "SENSORPIPE_MONGODB_URI": uri,
        }
        server = await stack.enter_async_context(
            program("server", ["-m", "sensorpipe_server"], folder, environ)
        )
        await server.listening()
        client = await stack.enter_async_context(database.connect(uri))
        writer = Writer(database.database(client), mongod.pid, server.pid)
        await _measure(part, writer, server)
    return [part]


async def _measure(part: Part, writer: Writer, server: Child) -> None:
    port = server.port or 0
    await answer(port, "/api/facilities")  # of the API's process, which is there then
    (api,) = Process(server.pid).children()
    await writer.write(RATE, 250)
    for who, count in (("nobody listens", 0), ("one client gets all", 1)):
        async with _clients(port, count):
            cost = await writer.write(RATE, 250)
        part.figures += [
            Figure(f"a partial while {who}, CPU of MongoDB", cost.mongod, "µs"),
            Figure(f"a partial while {who}, CPU of the API", cost.api, "µs"),
        ]
    before = memory_mb(api.pid)
    async with _clients(port, CLIENTS):
        cost = await writer.write(EVENTS, 5)
        memory = memory_mb(api.pid) - before
    taken = await writer.milliseconds(port)
    part.figures += [
        Figure(f"an event of each of {CLIENTS:,} clients, CPU", cost.api / CLIENTS, "µs"),
        Figure("from the insert to the event, median", statistics.median(taken), "ms"),
    ]
    p95 = statistics.quantiles(taken, n=20, method="inclusive")[-1]
    part.aims += [
        Aim("ms from the insert to the event, p95", p95, 500, at_most=True),
        Aim(f"MB of {CLIENTS:,} clients in the API", memory, 100, at_most=True),
    ]


@asynccontextmanager
async def _clients(port: int, count: int) -> AsyncIterator[None]:
    """Have so many clients in a process of their own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, str(port), str(count)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout
        await process.stdout.readline()
        yield
    finally:
        await process.communicate(b"\n")


async def _listen(port: int, count: int) -> None:
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(listening(port)) for _ in range(count)]
        reading = [asyncio.create_task(stream.drain()) for stream in streams]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for task in reading:
            task.cancel()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    uvloop.run(_listen(*map(int, sys.argv[1:])))
