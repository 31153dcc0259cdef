"""A window says whether it is complete, by the server's clock and lateness."""

from contextlib import asynccontextmanager

import httpx2
import pytest
from sensorpipe_server.api.caching import CacheRules, Caching
from sensorpipe_server.api.routes import application
from sensorpipe_server.api.sensors import WindowList
from sensorpipe_server.storage.source_seqs import Settling
from starlette.applications import Starlette
from starlette.routing import Route
from support.server_parts import T0, one, store

pytest_plugins = ["support.server_fixtures"]

PATH = "/api/sensors/{facility}"
YEAR_MS = 365 * 86_400_000


@asynccontextmanager
async def asking(app):
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


async def complete(client):
    answer = await client.get("/api/sensors/facility_1")
    return [item["complete"] for item in answer.json()["data"]]


@pytest.mark.parametrize(
    ("now_ms", "expected"),
    [
        (T0 + 11_999, [False, False]),
        (T0 + 12_000, [False, True]),
        (T0 + 21_999, [False, True]),
        (T0 + 22_000, [True, True]),
    ],
)
async def test_a_window_is_complete_once_end_and_lateness_have_passed(db, now_ms, expected):
    await store(db, one([(1, 1.0)]), one([(2, 1.0)], window=1, number=2))
    caching = Caching(db, CacheRules(lateness_ms=2_000, kept_ms=None))
    windows = WindowList(db, 20, Settling(2_000), caching, clock=lambda: now_ms / 1000)
    async with asking(Starlette(routes=[Route(PATH, windows.answer)])) as client:
        assert await complete(client) == expected


async def test_the_lateness_is_the_servers_setting(db):
    await store(db, one([(1, 1.0)]))
    for lateness_ms, expected in ((2_000, True), (1000 * YEAR_MS, False)):
        app = application(db, page_limit=20, settling=Settling(lateness_ms))
        async with asking(app) as client:
            assert await complete(client) == [expected]
