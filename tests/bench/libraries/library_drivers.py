"""The MongoDB drivers, each with its defaults: the server's windows written and read."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial as bound
from typing import Any

from bench_partials import FACILITIES, START_MS, WINDOW_MS, partials
from library_contest import Contest
from sensorpipe_schema.partial import read
from sensorpipe_server.storage.documents import Document, document, id_range
from sensorpipe_server.storage.mongodb.database import DURABLE

WINDOWS = 2000
RANGE = 20
AT_ONCE = 50


async def contests(clients: dict[str, Any]) -> list[Contest]:
    """Return the contests, once each driver has read what it wrote; inserting comes first."""
    drivers = {
        name: client.bench.get_collection("windows", write_concern=DURABLE)
        for name, client in clients.items()
    }
    received = datetime(2026, 1, 1, tzinfo=UTC)
    windows = [document(read(data), data, received) for _, data in partials(WINDOWS, "bench", 1)]
    ids = id_range("bench-00", START_MS, START_MS + RANGE * WINDOW_MS)
    clear = bound(next(iter(drivers.values())).delete_many, {})
    for name, driver in drivers.items():
        await clear()
        await _insert(windows, driver)
        if await _range(ids, driver) != windows[: FACILITIES * RANGE : FACILITIES]:
            raise RuntimeError(f"{name} does not read what it wrote")
    works = {
        f"insert_many of {WINDOWS:,} windows, for each": bound(_insert, windows),
        f"find of {RANGE} windows by _id": bound(_finds, ids),
        f"find_one, {AT_ONCE} at once, for each": bound(_find_ones, windows),
    }
    return [
        Contest(
            title,
            {name: bound(work, driver) for name, driver in drivers.items()},
            clear if work.func is _insert else None,
        )
        for title, work in works.items()
    ]


async def _insert(windows: Sequence[Document], driver: Any) -> int:
    await driver.insert_many(windows, ordered=False)
    return len(windows)


async def _range(ids: dict[str, str], driver: Any) -> list[Document]:
    found: list[Document] = await driver.find({"_id": ids}).sort("_id").to_list(RANGE)
    return found


async def _finds(ids: dict[str, str], driver: Any) -> int:
    for _ in range(WINDOWS // RANGE):
        await _range(ids, driver)
    return WINDOWS // RANGE


async def _find_ones(windows: Sequence[Document], driver: Any) -> int:
    for at in range(0, WINDOWS, AT_ONCE):
        chosen = windows[at : at + AT_ONCE]
        await asyncio.gather(*(driver.find_one({"_id": window["_id"]}) for window in chosen))
    return WINDOWS
