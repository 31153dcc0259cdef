"""What takes long to add up is added up in a thread: the event loop answers others meanwhile."""

import threading

import pytest
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.partial import Summary, encode
from sensorpipe_schema.sketch import Sketch
from sensorpipe_server.api.integrity import IntegrityScan
from sensorpipe_server.storage.pace import LARGE_BYTES, Pace
from sensorpipe_server.storage.queries import BATCH
from sensorpipe_server.storage.rollups.rolling import SILENT_MS, Rolling
from support.server_parts import NOW, one, partial, store

pytest_plugins = ["support.server_fixtures"]

SOURCES = 20_000


def many_sources(*, sparse=False):
    """Return a partial of a reading from each of many sources; of devices if `sparse`."""
    values = [1.0] * SOURCES
    sources = {f"source-{number}": [(1, 1)] for number in range(SOURCES)}
    one = Summary(Moments.of(values), Sketch.of(values), sources, sparse=sources if sparse else ())
    message = encode(partial({"t": one}))
    assert len(message) > LARGE_BYTES
    return message


@pytest.fixture
def in_loop(monkeypatch):
    """Return which steps of an audit ran in the thread of the event loop."""
    seen: dict[str, set[bool]] = {}

    def watch(name):
        step = getattr(IntegrityScan, name)

        def watched(*args, **options):
            if name != "take_windows" or args[1].windows:
                seen.setdefault(name, set()).add(threading.current_thread() is loop)
            return step(*args, **options)

        monkeypatch.setattr(IntegrityScan, name, watched)

    loop = threading.current_thread()
    for name in ("take_rollup", "take_windows", "report"):
        watch(name)
    return seen


async def totals(client):
    return (await client.get("/api/integrity")).json()["totals"]


@pytest.mark.parametrize("sparse", [False, True])
async def test_a_window_of_many_sources_is_audited_in_a_thread(db, client, in_loop, sparse):
    await store(db, many_sources(sparse=sparse))
    found = await totals(client)
    assert (found["sources"], found["count"], found["lost"]) == (SOURCES, SOURCES, 0)
    assert in_loop == {"take_windows": {False}, "report": {False}}


async def test_a_rollup_of_many_sources_is_audited_in_a_thread(db, client, in_loop):
    await store(db, many_sources())
    later = NOW.timestamp() + 2 * SILENT_MS / 1000
    await Rolling(db, lambda: True, clock=lambda: later, pace=Pace(0.99)).round()
    found = await totals(client)
    assert (found["sources"], found["count"], found["lost"]) == (SOURCES, SOURCES, 0)
    assert in_loop == {"take_rollup": {False}, "report": {False}}


async def test_small_windows_are_handed_on_some_at_a_time(db, client, in_loop, monkeypatch):
    sizes: list[int] = []
    take = IntegrityScan.take_windows

    def counted(scan, batch):
        sizes.append(len(batch.windows))
        take(scan, batch)

    monkeypatch.setattr(IntegrityScan, "take_windows", counted)
    windows = 3 * BATCH
    await store(db, *(one([(n + 1, 1.0)], window=n, number=n + 1) for n in range(windows)))
    assert (await totals(client))["count"] == windows
    assert max(sizes) <= BATCH
    assert sum(sizes) == windows
    assert in_loop == {"take_windows": {True}, "report": {True}}
