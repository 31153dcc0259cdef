"""Part g: the API on 2,000,000 windows while partials come in, and with 10,000 facilities."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import bench_history
import bench_past
import bench_series
from bench_client import Client, p95
from bench_history import LONG, History, Window
from bench_offsets import Offsets
from bench_partials import WINDOW_MS
from bench_process import children_cpu_seconds, memory_mb, program
from bench_read_load import slowdown
from bench_result import Aim, Figure, Part
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, free_port
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_runtime.settings import Environment
from sensorpipe_schema.names import COMPACTED, DEAD_COMPACTED, SERVER_GROUP
from support import services
from support.services import running

WINDOWS = int(os.environ.get("BENCH_WINDOWS", "2000000"))
RATE = float(os.environ.get("BENCH_RATE", "5000"))
MANY = int(os.environ.get("BENCH_FACILITIES", "10000"))
PROBES = int(os.environ.get("BENCH_PROBES", "200"))
"""Partials that are timed without clients and with them, twice each."""
ROLLUP_SECONDS = float(os.environ.get("BENCH_ROLLUP_SECONDS", "300"))
CLIENTS = 50

_DAY_MS = 86_400_000
_LATE_MS = 23 * 3_600_000 + 27 * 60_000
"""The time of day when the history ends: then answers for all time read nearly the most rollups."""
_REAL_SECONDS = 5.0
_SKIPPED = 360
"""Windows of each facility that are left out between the two feeds."""
_FEED = Path(__file__).with_name("bench_feed.py")
_FEW_SECONDS = 5.0
_OPEN_MS = 600_000
"""What may be without rollups: the buckets of 5 minutes that windows still come into."""
_BUDGET = 30.0
"""Seconds for all requests of one kind."""


class Query(NamedTuple):
    """A request, how often it is asked, and its bound."""

    text: str
    path: str
    times: int
    bound_ms: float


class Services(NamedTuple):
    """What the servers stand on."""

    kafka: int
    mongodb: str
    folder: Path
    monitoring: int
    """Where the servers answer `/healthz`."""

    @asynccontextmanager
    async def server(self, database: str) -> AsyncIterator[Child]:
        """Run a server on one database."""
        environ = {
            "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{self.kafka}",
            "SENSORPIPE_MONGODB_URI": f"{self.mongodb}/{database}",
            "SENSORPIPE_MONITORING": f"127.0.0.1:{self.monitoring}",
        }
        argv = ["-m", "sensorpipe_server"]
        async with program(f"server-{database}", argv, self.folder, environ) as child:
            await child.listening()
            yield child


async def run(folder: Path) -> list[Part]:
    """Measure both."""
    async with AsyncExitStack() as stack:
        kafka = await stack.enter_async_context(running(services.kafka(folder / "kafka")))
        mongod = embedded.mongod(free_port(), folder / "mongodb")
        await stack.enter_async_context(running(mongod))
        here = Services(kafka.port or 0, f"mongodb://127.0.0.1:{mongod.port}", folder, free_port())
        env = Environment({"SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka.port}"})
        await ensure_topics(KafkaSettings.read(env), COMPACTED, DEAD_COMPACTED)
        many = await _many_facilities(here)  # first: the partials of the other would come as well
        return [await _much_data(here), many]


async def _many_facilities(here: Services) -> Part:
    """Ask about many facilities with one window each."""
    part = Part(f"h. API with {MANY:,} facilities", "Each has one window of 3 sensors.")
    end_ms = _now_ms()
    names = bench_history.facility_names(MANY)
    windows = (
        bench_history.document(Window(name, end_ms - WINDOW_MS, 0), number + 1)
        for number, name in enumerate(names)
    )
    listed = [bench_history.listed(name, end_ms - WINDOW_MS, end_ms) for name in names]
    sensors = listed[0]["sensors"]
    await bench_history.store(f"{here.mongodb}/many", windows, listed)
    span = "from=2001-01-01T00:00:00Z&to=2002-01-01T00:00:00Z"
    empty = f"/api/stats?sensors={','.join(sensors)}&{span}"
    async with here.server("many") as child:
        queries = [
            Query("facilities", "/api/facilities", 20, 300),
            Query("stats of an empty range", empty, 20, 300),
        ]
        await _ask(child, queries, "of all", part)
    return part


async def _much_data(here: Services) -> Part:
    """Ask about a long history while partials come in, alone and in a crowd."""
    now_ms = _now_ms()
    history = History(WINDOWS, now_ms - now_ms % _DAY_MS - 2 * _DAY_MS + _LATE_MS, now_ms)
    days = history.counts[LONG] * WINDOW_MS / _DAY_MS
    part = Part(
        f"g. API on {history.windows:,} windows",
        f"{len(history.counts)} facilities of 3 sensors, one of them with {days:.3g} days of "
        f"windows of {WINDOW_MS // 1000} s, all until 23:27;\nas they came, the newest have no "
        f"rollups yet. Then the windows that follow come in through Kafka:\nfirst in real time, "
        f"{_real_rate(history):.3g} a second; then {RATE:,.0f} a second, so that their time goes "
        f"{RATE / _real_rate(history):,.0f} times\nas fast as the clock. Ingestion takes from a "
        f"partial's sending until it is found in MongoDB;\n{CLIENTS} clients ask all of these "
        "queries in turn.",
    )
    uri = f"{here.mongodb}/much"
    began = time.monotonic()
    await bench_past.make(uri, history)
    part.figures.append(Figure("storing them and their rollups", time.monotonic() - began, "s"))
    async with here.server("much") as child:
        part.figures.append(Figure("making the other rollups", await _rolled_up(uri, history), "s"))
        queries = await asyncio.to_thread(_queries, child.port or 0, history)
        await _ask(child, queries, "while nothing comes", part)
        await bench_series.store_year(uri, history)
        await bench_series.measure(child, here.monitoring, history, part)
        await _in_real_time(here, child, history, queries, part)
        await _while_partials_come(here, child, history, queries, part)
        part.figures.append(Figure("memory of the server", memory_mb(child.pid), "MB"))
    return part


async def _in_real_time(
    here: Services, child: Child, history: History, queries: list[Query], part: Part
) -> None:
    rate = _real_rate(history)
    async with (
        Offsets(here.kafka, SERVER_GROUP, COMPACTED) as offsets,
        _feed(here, history, rate),
    ):
        await _stored(offsets, int(_REAL_SECONDS * rate))
        await _ask(child, queries, "in real time", part)


async def _while_partials_come(
    here: Services, child: Child, history: History, queries: list[Query], part: Part
) -> None:
    uri, paths = f"{here.mongodb}/much", [query.path for query in queries]
    async with (
        Offsets(here.kafka, SERVER_GROUP, COMPACTED) as offsets,
        _feed(here, history, RATE, _SKIPPED),
    ):
        await _stored(offsets, int(_FEW_SECONDS * RATE))
        before, began = await offsets.committed(), time.monotonic()
        await _ask(child, queries, "while partials come", part)
        port = child.port or 0
        load = await slowdown(here.kafka, uri, port, paths, clients=CLIENTS, count=PROBES)
        rate = (await offsets.committed() - before) / (time.monotonic() - began)
    part.figures += [
        Figure("partials stored", rate, "a second"),
        Figure("ingestion without clients, p95", p95(load.quiet) * 1000, "ms"),
        Figure(f"ingestion under {CLIENTS} clients, p95", p95(load.loaded) * 1000, "ms"),
        *(
            Figure(f"answers {status or 'that never came'} to {CLIENTS} clients", number)
            for status, number in sorted(load.statuses.items())
        ),
    ]
    ratio = p95(load.loaded) / p95(load.quiet)
    part.aims.append(Aim("ingestion under clients, times quiet", ratio, 2, at_most=True))


@asynccontextmanager
async def _feed(
    here: Services, history: History, rate: float, steps: int = 0
) -> AsyncIterator[None]:
    argv = [_FEED, here.kafka, history.asked, history.end_ms, rate, steps]
    feed = await asyncio.create_subprocess_exec(sys.executable, *map(str, argv))
    try:
        yield
    finally:
        feed.kill()
        await feed.wait()


async def _stored(offsets: Offsets, more: int) -> None:
    """Wait until so many more partials are stored; raise TimeoutError after two minutes."""
    done = await offsets.committed()
    total = done + more
    async with asyncio.timeout(120):
        while done < total:
            await asyncio.sleep(0.1)
            done = await offsets.committed()


async def _ask(child: Child, queries: list[Query], when: str, part: Part) -> None:
    """Ask one query after the other, so many times; the API's CPU says what a load hides."""
    client = Client(child.port or 0)
    for query in queries:
        cpu = children_cpu_seconds(child.pid)
        taken = await asyncio.to_thread(client.times, query.path, query.times, _BUDGET)
        used = (children_cpu_seconds(child.pid) - cpu) / len(taken) * 1000
        part.figures.append(Figure(f"{query.text} {when}, CPU of the API", used, "ms"))
        text = f"{query.text} {when}, ms, p95 of {len(taken)}"
        part.aims.append(Aim(text, p95(taken), query.bound_ms, at_most=True))


def _queries(port: int, history: History) -> list[Query]:
    """Return what is asked; the sensors and the cursor are those of the server's answers."""
    client = Client(port)
    facilities = client.read("/api/facilities")["data"]
    sensors = facilities[0]["sensors"]
    page = f"/api/sensors/{LONG}?limit=20"
    cursor = client.read(f"{page}&cursor=")["pagination"]["next"]
    deep = history.counts[LONG] * 99 // 100
    from_ms = history.end_ms - 30 * _DAY_MS + 123_000
    span = f"from={_text(from_ms)}&to={_text(history.end_ms - 77_000)}"
    one = f"/api/stats?sensors={sensors[0]}&facility={LONG}&{span}"
    return [
        Query("first page", page, 200, 20),
        Query("page by cursor", f"{page}&cursor={cursor}", 200, 20),
        Query(f"page at offset {deep:,}", f"{page}&offset={deep}", 200, 20),
        Query("facilities", "/api/facilities", 100, 50),
        Query("30 days of one sensor", one, 50, 100),
        Query("stats of all for all time", f"/api/stats?sensors={','.join(sensors)}", 30, 300),
        Query("integrity", "/api/integrity", 20, 1000),
        *(Query(*each) for each in bench_series.queries(history)[2:3]),
    ]


async def _rolled_up(uri: str, history: History) -> float:
    """Wait for the rollups of the whole history; return the seconds, or raise TimeoutError."""
    began = time.monotonic()
    async with AsyncMongoClient[dict[str, Any]](uri) as client, asyncio.timeout(ROLLUP_SECONDS):
        database = client.get_default_database()
        missing = True
        while missing:
            await asyncio.sleep(0.2)
            missing = await _is_rollup_missing(database, history)
    return time.monotonic() - began


async def _is_rollup_missing(database: AsyncDatabase[dict[str, Any]], history: History) -> bool:
    done = {"_id": {"$ne": ""}, "done_ms": {"$gte": history.end_ms - _OPEN_MS}}
    if await database["rollup_state"].count_documents(done) < len(history.counts):
        return True
    return await database["rollup_dirty"].find_one() is not None


def _real_rate(history: History) -> float:
    """Return how many windows of all facilities there are in a second."""
    return len(history.counts) * 1000 / WINDOW_MS


def _now_ms() -> int:
    """Return the start of the window of now."""
    now = time.time_ns() // 1_000_000
    return now - now % WINDOW_MS


def _text(unix_ms: int) -> str:
    return f"{datetime.fromtimestamp(unix_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
