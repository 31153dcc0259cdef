"""Many clients of `/api/live`, slow ones, and such that come to a server that stops."""

import asyncio
import json
from contextlib import AsyncExitStack

import httpx2
import psutil
import pytest
from sensorpipe_schema.partial import encode
from sensorpipe_server.api.http.limits import HttpLimits
from sensorpipe_server.api.http.metrics import REGISTRY
from support.live_streams import listening, live
from support.server_parts import fresh_database, one, partial, store, summary
from support.waiting import eventually

CLIENTS = 1000


@pytest.fixture
async def db(mongod_set):
    async with fresh_database(mongod_set) as fresh:
        yield fresh


def value(name):
    """Return a metric of live events."""
    return REGISTRY.get_sample_value(f"sensorpipe_server_live_{name}")


def windows(first, number):
    """Return messages of windows, one after the other."""
    return [one([(n, 1.0)], window=n, number=n) for n in range(first, first + number)]


def large_windows(first, number):
    """Return messages of windows whose events have some 2 kB each."""
    readings = {f"sensor_{n}": summary([(1, 1.5)], f"run_{n}") for n in range(12)}
    return [encode(partial(readings, window=n, number=n)) for n in range(first, first + number)]


async def test_a_thousand_clients_get_every_event_and_others_are_answered(db):
    memory = psutil.Process().memory_info
    sent = value("events_total")
    async with AsyncExitStack() as stack, live(db) as port:
        before = memory().rss
        streams = [await stack.enter_async_context(listening(port)) for _ in range(CLIENTS)]
        async with listening(port) as one_more:
            assert one_more.status == 503
            assert int(one_more.headers["retry-after"]) > 0
            detail = json.loads(await one_more.body())["detail"]
            assert detail == "The server has reached its limit of 1000 live streams at once"
        assert value("clients") == CLIENTS
        await store(db, *windows(1, 20))
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            answers = await asyncio.gather(*(client.get("/api/facilities") for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        got = await asyncio.gather(*(stream.events(20) for stream in streams))
        assert {tuple(event.id for event in some) for some in got} == {
            tuple(event.id for event in got[0])
        }
        assert value("events_total") == sent + 20 * CLIENTS
        # of both sides, since the clients are in this process as well
        assert memory().rss - before < 150 * 1024 * 1024
        streams[0].leave()
        await eventually(lambda: value("clients") == CLIENTS - 1)
        async with listening(port) as another:
            assert another.status == 200


async def test_streams_are_not_among_the_requests_at_once(db):
    limits = HttpLimits(requests=2, streams=4)
    async with AsyncExitStack() as stack, live(db, limits) as port:
        for _ in range(4):
            await stack.enter_async_context(listening(port))
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/api/facilities")).status_code == 200


async def test_a_client_that_does_not_read_gets_a_gap_and_hurts_nobody(db):
    gaps = value("gaps_total")
    async with (
        live(db) as port,
        listening(port, buffer=1024) as slow,
        listening(port) as quick,
    ):
        slow.read_on(on=False)
        number = 1
        while value("gaps_total") == gaps:
            await store(db, *large_windows(number, 200))
            assert [event.kind for event in await quick.events(200)] == ["window"] * 200
            number += 200
        slow.read_on(on=True)
        seen = 0
        while (event := await slow.event()).kind == "window":
            seen += 1
        assert event.data == {"reason": "the client read too slowly"}
        assert seen < number - 1
        await store(db, *windows(number, 1))
        last = await quick.event()
        while (await slow.event()).id != last.id:
            pass


async def test_a_client_that_never_reads_is_disconnected(db):
    async with (
        live(db, HttpLimits(unread_seconds=0.5)) as port,
        listening(port, buffer=1024) as slow,
        listening(port) as quick,
    ):
        slow.read_on(on=False)
        number = 1
        while value("clients") > 1:
            await store(db, *large_windows(number, 200))
            await quick.events(200)
            number += 200


async def test_the_end_of_the_server_ends_streams_at_once(db, caplog):
    async with AsyncExitStack() as stack:
        async with live(db) as port:
            streams = [await stack.enter_async_context(listening(port)) for _ in range(20)]
        for stream in streams:
            with pytest.raises(EOFError):
                await stream.block()
    assert value("clients") == 0
    assert [each for each in caplog.records if each.levelname in ("WARNING", "ERROR")] == []


async def test_a_heartbeat_comes_and_says_where_to_resume(db, monkeypatch):
    monkeypatch.setattr("sensorpipe_server.api.live.feed.HEARTBEAT_SECONDS", 0.05)
    async with live(db) as port, listening(port, "facility=other") as stream:
        first = stream.last_id
        await store(db, *windows(1, 1))
        beat = await stream.block()
        assert (beat.kind, beat.data) == ("", None)
        while stream.last_id == first:
            await stream.block()
    async with live(db) as port, listening(port, "facility=*", stream.last_id) as stream:
        await store(db, *windows(2, 1))
        assert (await stream.event()).data["window"]["start_time"] == "2024-11-14T16:00:20Z"
