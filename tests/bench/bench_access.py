"""Part j: what tokens cost, at 1,000 light requests a second.

`bench_access.py PORT RATE SECONDS` is the clients: it reads the requests from standard input, a
JSON list of texts that are sent in turn, and prints the answers by status as JSON.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import bench_history
import uvloop
from bench_history import Window
from bench_partials import WINDOW_MS
from bench_process import children_cpu_seconds, program
from bench_result import Aim, Figure, Part
from joserfc import jwk
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_runtime.settings import Environment
from sensorpipe_schema.names import COMPACTED, DEAD_COMPACTED
from sensorpipe_server.api.access.access import Access
from support import services
from support.services import running
from support.tokens import AUDIENCE, SECRET, access_file, claims, grant, jwks, private_key, signed

RATE: Final = int(os.environ.get("BENCH_REQUESTS", "1000"))
CLIENTS: Final = 20
"""Connections that are kept, each with a token of its own; few enough that none is refused."""
SECONDS: Final = 2
ROUNDS: Final = 12
FACILITIES: Final = 10
WINDOWS: Final = 60
"""Windows of each facility."""
PATHS: Final = ("/api/facilities", "/api/sensors/facility_000?limit=1")
BOUND: Final = 1.15
OPEN: Final = "without an access file"
NEW: Final = "RS256, each token new"
"""What needs a verification for each request, as after a restart."""

_ISSUER: Final = "bench"


async def run(folder: Path) -> list[Part]:
    """Measure servers without and with an access file in turn."""
    part = Part(
        "j. Access",
        f"{RATE:,} requests a second on {CLIENTS} connections for {SECONDS} s, {ROUNDS} times in "
        f"turn for each server; half ask for\nthe list of {FACILITIES} facilities, half for the "
        "newest window of one. CPU of the API's process, the least\nof all rounds: other programs "
        "on the machine only add to it.",
    )
    async with AsyncExitStack() as stack:
        servers = {
            name: await stack.enter_async_context(_server(folder, environ))
            async for name, environ in _prepared(folder, stack)
        }
        _report(part, await _rounds(servers))
    for name in _keys():
        access = Access(folder / f"access-{name}" / "access.yaml")
        first, again = await _check(access, name)
        part.figures += [
            Figure(f"CPU of checking a token, {name}, for the first time", first, "µs"),
            Figure(f"CPU of checking a token, {name}, again", again, "µs"),
        ]
    return [part]


async def _prepared(
    folder: Path, stack: AsyncExitStack
) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
    """Start what servers stand on, and yield the name and settings of each."""
    kafka = await stack.enter_async_context(running(services.kafka(folder / "kafka")))
    mongod = embedded.mongod(free_port(), folder / "mongodb")
    await stack.enter_async_context(running(mongod))
    given = {"SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka.port}"}
    await ensure_topics(KafkaSettings.read(Environment(given)), COMPACTED, DEAD_COMPACTED)
    end_ms = time.time_ns() // 1_000_000 // WINDOW_MS * WINDOW_MS
    uri = f"mongodb://127.0.0.1:{mongod.port}/bench"
    names = bench_history.facility_names(FACILITIES)
    windows = [
        Window(name, end_ms - ago * WINDOW_MS, WINDOWS - ago)
        for name in names
        for ago in range(WINDOWS, 0, -1)
    ]
    await bench_history.store(
        uri,
        (bench_history.document(each, number + 1) for number, each in enumerate(windows)),
        [bench_history.listed(name, end_ms - WINDOWS * WINDOW_MS, end_ms) for name in names],
    )
    for name in (OPEN, *_keys()):
        environ = {**given, "SENSORPIPE_MONGODB_URI": uri}
        if name != OPEN:
            environ["SENSORPIPE_AUTH_FILE"] = str(_access(folder, name))
        yield name, environ


def _keys() -> dict[str, jwk.Key]:
    """Return by algorithm the key that tokens are signed with."""
    secret = jwk.OctKey.import_key(SECRET.encode())
    return {"HS256": secret} | {name: private_key(name, name) for name in ("RS256", "ES256")}


def _access(folder: Path, algorithm: str) -> Path:
    """Write the access file of a server whose tokens have this algorithm; return its path."""
    home = folder / f"access-{algorithm}"
    home.mkdir()
    issuer: dict[str, Any] = {"issuer": _ISSUER, "audiences": [AUDIENCE]}
    if algorithm == "HS256":
        (home / "secret").write_text(SECRET)
        issuer["secretFile"] = "secret"
    else:
        (home / "jwks.json").write_bytes(jwks(_keys()[algorithm]))
        issuer["jwksFile"] = "jwks.json"
    grants = grant(["read"], ["*"], subject="client-*"), grant(["admin"], ["*"], subject="admin")
    return access_file(home, *grants, issuers=[issuer])


@asynccontextmanager
async def _server(folder: Path, environ: Mapping[str, str]) -> AsyncIterator[Child]:
    """Run a server."""
    argv = ["-m", "sensorpipe_server"]
    async with program(f"server-{free_port()}", argv, folder, environ) as child:
        await child.listening()
        yield child


async def _rounds(servers: Mapping[str, Child]) -> dict[str, list[float]]:
    """Return by name the CPU µs of a request in each round; the first warms up, and is left out."""
    found: dict[str, list[float]] = {name: [] for name in (*servers, NEW)}
    for number in range(ROUNDS + 1):
        for name, costs in found.items():
            child = servers["RS256" if name == NEW else name]
            cost = await _cost(child, _requests(name, number))
            if number:
                costs.append(cost)
    return found


def _requests(name: str, number: int) -> list[str]:
    """Return what the clients send in turn; client after client has its own token."""
    count = RATE * SECONDS if name == NEW else CLIENTS * len(PATHS)
    found = []
    for each in range(count):
        head = f"GET {PATHS[each // CLIENTS % len(PATHS)]} HTTP/1.1\r\nHost: bench\r\n"
        if name != OPEN:
            algorithm = name.split(",", maxsplit=1)[0]
            subject = f"client-{number}-{each}" if name == NEW else f"client-{each % CLIENTS}"
            head += f"Authorization: Bearer {_token(algorithm, subject)}\r\n"
        found.append(f"{head}\r\n")
    return found


def _token(algorithm: str, subject: str) -> str:
    content = claims(iss=_ISSUER, sub=subject, exp=time.time() + 3600, iat=None)
    return signed(content, _keys()[algorithm], alg=algorithm)


async def _cost(child: Child, requests: list[str]) -> float:
    """Return the CPU µs that the API takes for a request; raise if one is not answered."""
    argv = [__file__, str(child.port), str(RATE), str(SECONDS)]
    pipe = asyncio.subprocess.PIPE
    clients = await asyncio.create_subprocess_exec(sys.executable, *argv, stdin=pipe, stdout=pipe)
    before = children_cpu_seconds(child.pid)
    output, _ = await clients.communicate(json.dumps(requests).encode())
    used = children_cpu_seconds(child.pid) - before
    statuses = json.loads(output or b"{}")
    if statuses != {"200": RATE * SECONDS}:
        raise RuntimeError(f"answers by status: {statuses}")
    return used / (RATE * SECONDS) * 1e6


async def _check(access: Access, algorithm: str) -> tuple[float, float]:
    """Return the CPU µs of checking a token for the first time, and again; the least of some."""
    found: tuple[list[float], list[float]] = [], []
    for number in range(ROUNDS):
        values = [f"Bearer {_token(algorithm, f'client-{number}-{each}')}" for each in range(100)]
        for costs in found:
            began = time.process_time()
            for each in values:
                await access.permissions([each])
            costs.append((time.process_time() - began) / len(values) * 1e6)
    return min(found[0]), min(found[1])


def _report(part: Part, costs: Mapping[str, list[float]]) -> None:
    for name, found in costs.items():
        part.figures.append(Figure(f"CPU of a request, {name}", min(found), "µs"))
    for name in (*_keys(), NEW):
        ratio = min(costs[name]) / min(costs[OPEN])
        if name == NEW:
            part.figures.append(Figure(f"{name}, times without an access file", ratio))
        else:
            text = f"{name}, times without an access file"
            part.aims.append(Aim(text, ratio, BOUND, at_most=True))


async def _client(
    port: int, number: int, requests: list[bytes], count: int, rate: float
) -> Counter[int]:
    """Send every CLIENTS-th request when it is due; return how many were answered by status."""
    statuses: Counter[int] = Counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    for each in range(number, count, CLIENTS):
        await asyncio.sleep(max(0.0, began + each / rate - time.monotonic()))
        writer.write(requests[each % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        statuses[int(head.split(b" ", 2)[1])] += 1
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
        await reader.readexactly(int(length))
    writer.close()
    return statuses


async def _main(port: str, rate: str, seconds: str) -> None:
    requests = [each.encode() for each in json.load(sys.stdin)]
    count = int(rate) * int(seconds)
    each = (_client(int(port), n, requests, count, float(rate)) for n in range(CLIENTS))
    found: Counter[int] = sum(await asyncio.gather(*each), Counter())
    print(json.dumps(found))


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:]))
