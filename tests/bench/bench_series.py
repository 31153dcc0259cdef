"""Series of a day, a month and a year, while `/healthz` of the server is asked."""

import asyncio
import http.client
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import cycle, islice
from typing import Any, NamedTuple

from bench_client import Client, p95
from bench_history import LONG, History
from bench_process import children_cpu_seconds
from bench_result import Aim, Figure, Part
from pymongo import AsyncMongoClient
from sensorpipe_cli.runner.child import Child
from sensorpipe_server.storage.rollups.levels import DAY, HOUR, rollup_id, rollup_range

YEAR = "facility_year"
"""A facility with a year of hours, whose windows have been removed."""

_DAYS = 365
_POLL_SECONDS = 0.01
_HEALTH_MS = 50.0
_BUDGET = 30.0
_BATCH = 1000


class SeriesQuery(NamedTuple):
    """A series, how often it is asked for, and its bound."""

    text: str
    path: str
    times: int
    bound_ms: float


def queries(history: History) -> list[SeriesQuery]:
    """Return what is asked: all sensors of one facility each time."""
    end = history.end_ms
    day = f"/api/series?facility={LONG}&from={end - DAY.length_ms}&to={end}&every=10s"
    month = f"/api/series?facility={LONG}&from={end - 30 * DAY.length_ms}&to={end}"
    year = f"/api/series?facility={YEAR}&from={end - _DAYS * DAY.length_ms}&to={end}"
    return [
        SeriesQuery("series of a day at 10 s, JSON", day, 30, 400),
        SeriesQuery("series of a day at 10 s, CSV", f"{day}&format=csv", 30, 400),
        SeriesQuery("series of 30 days", month, 50, 100),
        SeriesQuery("series of a year", year, 30, 500),
    ]


async def store_year(uri: str, history: History) -> None:
    """Store a year of hours, each like one of those of the long history."""
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        db = client.get_default_database()
        stored = await db["rollups"].find({"_id": rollup_range(LONG, HOUR)}).to_list()
        end_ms = HOUR.start(history.end_ms)
        first_ms = end_ms - _DAYS * DAY.length_ms
        hours = _hours(stored, first_ms, end_ms)
        while some := list(islice(hours, _BATCH)):
            await db["rollups"].insert_many(some)
        removed = dict.fromkeys(("windows", "5m"), end_ms)
        done = {"announced_ms": end_ms, "done_ms": end_ms, "removed": removed, "swept": removed}
        await db["rollup_state"].insert_one({"_id": YEAR, **done})
        listed = await db["facilities"].find_one({"_id": LONG}) or {}
        times = {"first_ms": first_ms, "last_ms": end_ms - 10_000, "last_end_ms": end_ms}
        await db["facilities"].insert_one({**listed, "_id": YEAR, **times})


def _hours(stored: list[dict[str, Any]], first_ms: int, end_ms: int) -> Iterator[dict[str, Any]]:
    starts = range(first_ms, end_ms, HOUR.length_ms)
    for start_ms, hour in zip(starts, cycle(stored), strict=False):
        yield {**hour, "_id": rollup_id(YEAR, HOUR, start_ms), "facility": YEAR}


async def measure(child: Child, monitoring: int, history: History, part: Part) -> None:
    """Ask for each series, one after the other, and for `/healthz` meanwhile."""
    client = Client(child.port or 0)
    async with _health(monitoring) as health:
        for query in queries(history):
            cpu = children_cpu_seconds(child.pid)
            taken = await asyncio.to_thread(client.times, query.path, query.times, _BUDGET)
            used = (children_cpu_seconds(child.pid) - cpu) / len(taken) * 1000
            part.figures.append(Figure(f"{query.text}, CPU of the API", used, "ms"))
            size = await asyncio.to_thread(client.size, query.path)
            part.figures.append(Figure(f"{query.text}, size", size / 1e6, "MB"))
            text = f"{query.text}, ms, p95 of {len(taken)}"
            part.aims.append(Aim(text, p95(taken), query.bound_ms, at_most=True))
    text = f"/healthz meanwhile, ms, worst of {len(health)}"
    part.aims.append(Aim(text, max(health), _HEALTH_MS, at_most=True))


@asynccontextmanager
async def _health(port: int) -> AsyncIterator[list[float]]:
    """Ask for `/healthz` again and again; yield the ms that the answers took."""
    taken: list[float] = []
    ended = asyncio.Event()

    def ask() -> float:
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
        connection.close()
        if status != http.HTTPStatus.OK:
            raise RuntimeError(f"/healthz was answered by {status}")
        return (time.perf_counter() - began) * 1000

    async def poll() -> None:
        while not ended.is_set():
            taken.append(await asyncio.to_thread(ask))
            await asyncio.sleep(_POLL_SECONDS)

    polling = asyncio.create_task(poll())
    try:
        yield taken
    finally:
        ended.set()
        await polling
