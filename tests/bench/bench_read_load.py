"""How long partials take from Kafka until they are stored, while clients ask for a lot.

`bench_read_load.py PORT CLIENTS PATH…` is those clients: each asks for the paths in turn, again
and again, until a line on standard input ends it; prints the answers by status as JSON.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from aiokafka import AIOKafkaProducer
from pymongo import AsyncMongoClient
from sensorpipe_schema import partial
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import Origin, Partial, Summary
from sensorpipe_schema.sketch import Sketch

WINDOW_MS = 10_000
DAY_MS = 86_400_000

_LOOK_SECONDS = 0.002
_EVERY_SECONDS = 0.1
_DEADLINE = 60.0


@dataclass(frozen=True)
class Slowdown:
    """How long partials took from Kafka until they were stored, in seconds."""

    quiet: list[float]
    loaded: list[float]
    """While the clients asked."""
    statuses: Counter[int]
    """Of the answers to the clients; 0 is a connection that ended without one."""

    @property
    def ratio(self) -> float:
        """The median under load, as a multiple of the quiet one."""
        return median(self.loaded) / median(self.quiet)

    @property
    def p95_ratio(self) -> float:
        """The same of the 95th percentiles."""
        return p95(self.loaded) / p95(self.quiet)

    def __str__(self) -> str:
        lines = [
            f"{name:6} median {median(took) * 1000:.0f} ms, 95 % {p95(took) * 1000:.0f} ms"
            for name, took in (("quiet", self.quiet), ("loaded", self.loaded))
        ]
        return "\n".join([*lines, f"answers to the clients by status: {dict(self.statuses)}"])


def p95(seconds: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return quantiles(seconds, n=20)[-1]


async def slowdown(
    kafka: int,
    uri: str,
    api: int,
    paths: Sequence[str],
    *,
    clients: int = 50,
    count: int = 50,
    turns: int = 2,
) -> Slowdown:
    """Time partials while nobody asks the server, and while clients do, in turn.

    `kafka` and `api` are ports on this machine, `uri` names the server's database; each turn
    sends `count` partials quietly and as many under load.
    """
    quiet, loaded, statuses = list[float](), list[float](), Counter[int]()
    for _ in range(turns):
        quiet += await delays(kafka, uri, count)
        async with asked(api, clients, *paths) as answered:
            loaded += await delays(kafka, uri, count)
        statuses += answered
    return Slowdown(quiet, loaded, statuses)


async def delays(kafka: int, uri: str, count: int) -> list[float]:
    """Send partials one after the other; return the seconds until each was stored.

    Ten are sent a second, or fewer where the one before is not stored yet. They are of a
    facility of their own.
    """
    found = []
    facility = f"probe-{time.time_ns()}"
    first_ms = time.time_ns() // 1_000_000 // WINDOW_MS * WINDOW_MS - DAY_MS
    producer = AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{kafka}", acks="all")
    async with producer, AsyncMongoClient[dict[str, Any]](uri) as client:
        windows = client.get_default_database()[COMPACTED]
        for number in range(1, count + 1):
            start = first_ms + number * WINDOW_MS
            message = _probe(facility, number, start)
            began = time.perf_counter()
            await producer.send_and_wait(COMPACTED, message, facility.encode())
            key = f"{facility}/{start:015d}"
            condition = {"_id": {"$gt": key, "$lt": f"{key}0"}}
            async with asyncio.timeout(_DEADLINE):
                while await windows.find_one(condition, {"_id": 1}) is None:  # noqa: ASYNC110  another process stores it
                    await asyncio.sleep(_LOOK_SECONDS)
            took = time.perf_counter() - began
            found.append(took)
            await asyncio.sleep(max(0.0, _EVERY_SECONDS - took))
    return found


def _probe(facility: str, number: int, start: int) -> bytes:
    values = [20.0 + number % 7]
    summary = Summary(Moments.of(values), Sketch.of(values), {facility: [(number, number)]})
    origin = Origin(facility, 1, number)
    window = Partial(facility, start, start + WINDOW_MS, origin, {"temperature": summary})
    return partial.encode(window)


@asynccontextmanager
async def asked(port: int, clients: int, *paths: str) -> AsyncIterator[Counter[int]]:
    """Have clients ask from another process, each for the paths in turn, again and again.

    Yields the answers by status, which are known on leaving.
    """
    pipe = asyncio.subprocess.PIPE
    argv = [__file__, str(port), str(clients), *paths]
    process = await asyncio.create_subprocess_exec(sys.executable, *argv, stdin=pipe, stdout=pipe)
    statuses: Counter[int] = Counter()
    try:
        assert process.stdout is not None
        await process.stdout.readline()  # they have begun
        yield statuses
    finally:
        output, _ = await process.communicate(b"\n")
        statuses.update({int(key): value for key, value in json.loads(output).items()})


async def _ask(port: int, paths: Sequence[str], statuses: Counter[int]) -> None:
    while True:
        for path in paths:
            statuses[await _status(port, path)] += 1


async def _status(port: int, path: str) -> int:
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
    answer = b""
    with suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request.encode())
            answer = await reader.read()
        finally:
            writer.close()
    line = answer.partition(b"\r\n")[0].split()
    status = int(line[1]) if line else 0
    if status != 200:  # one that is told to come later does not come at once
        await asyncio.sleep(0.1)
    return status


async def _main(port: str, clients: str, *paths: str) -> None:
    statuses: Counter[int] = Counter()
    asking = [asyncio.create_task(_ask(int(port), paths, statuses)) for _ in range(int(clients))]
    await asyncio.sleep(0)
    print("asking", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for task in asking:
        task.cancel()
    print(json.dumps(statuses))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
