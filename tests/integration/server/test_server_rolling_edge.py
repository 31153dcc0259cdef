"""Many windows that are stored quickly get their rollups before the next round by the clock."""

import asyncio

from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups import edge as edges
from sensorpipe_server.storage.rollups import rolling
from sensorpipe_server.storage.rollups.edge import Edge
from sensorpipe_server.storage.rollups.levels import FIVE_MINUTES
from sensorpipe_server.storage.rollups.past import Past
from sensorpipe_server.storage.rollups.rolling import MARGIN_MS, Rolling
from sensorpipe_server.storage.rollups.state import RollupState
from sensorpipe_server.storage.store import Store
from support.server_parts import NOW, T0, batch_of, one
from support.waiting import eventually

pytest_plugins = ["support.server_fixtures"]

WINDOW_MS = 10_000
BUCKET_WINDOWS = FIVE_MINUTES.length_ms // WINDOW_MS


async def done(db) -> int:
    return (await RollupState(db).of("facility_1")).done_ms


async def test_a_round_begins_early_after_many_windows(db, monkeypatch):
    monkeypatch.setattr(edges, "LONG", 2 * BUCKET_WINDOWS)
    monkeypatch.setattr(rolling, "REST_SECONDS", 0.01)
    edge = Edge(MARGIN_MS + 2000)
    store = Store(db, Past(db), edge)
    worker = Rolling(db, lambda: True, clock=NOW.timestamp, pace=Pace(1.0), edge=edge)

    async def put(first: int, last: int) -> int:
        """Store windows; return up to where rollups can go."""
        numbers = range(first, last + 1)
        await store.write(
            batch_of(*(one([(n, 1.0)], window=n, number=n) for n in numbers)).partials
        )
        return FIVE_MINUTES.start(T0 + last * WINDOW_MS - MARGIN_MS - 2000)

    first = await put(1, BUCKET_WINDOWS + 20)
    assert first > T0
    running = asyncio.create_task(worker.run())
    try:
        await eventually(lambda: _is(db, first))
        later = await put(BUCKET_WINDOWS + 21, 5 * BUCKET_WINDOWS + 20)
        assert later > first
        await eventually(lambda: _is(db, later))  # by the clock it takes 150 s
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _is(db, moment_ms: int) -> bool:
    return await done(db) == moment_ms
