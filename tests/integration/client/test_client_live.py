"""Both clients at the real `/api/live`: windows as they are stored, also over a restart."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from sensorpipe_client import ApiError, Retries
from sensorpipe_server.api.http import server
from sensorpipe_server.api.http.metrics import REGISTRY
from sensorpipe_server.api.routes import application
from support.api_clients import KINDS, EitherClient
from support.server_parts import fresh_database, one, store
from support.waiting import SECONDS, eventually

PATIENT = Retries(times=60, seconds=SECONDS)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
async def db(mongod_set):
    async with fresh_database(mongod_set) as fresh:
        yield fresh


@asynccontextmanager
async def served(db, port=0):
    """Serve the API at a port, 0 for a free one; yield the port."""
    listener = server.listen("127.0.0.1", port)
    stop = asyncio.Event()
    serving = asyncio.create_task(server.serve(application(db, page_limit=20), listener, stop))
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        await serving


@asynccontextmanager
async def tailing(kind, port, *args, most, **kwargs):
    """Have a client that waits for so many windows; yield the task that returns them."""
    client = EitherClient(kind, f"http://127.0.0.1:{port}", retries=PATIENT)
    task = asyncio.create_task(client.call("live", *args, most=most, **kwargs))
    try:
        await eventually(is_heard)
        yield task
    finally:
        task.cancel()


def is_heard():
    return REGISTRY.get_sample_value("sensorpipe_server_live_clients") == 1


async def test_windows_come_as_they_are_stored_and_as_they_are_listed(kind, db):
    async with served(db) as port, tailing(kind, port, "facility_*", most=2) as task:
        await store(db, one([(1, 1.0)], window=1), one([(1, 9.0)], facility="hall_2"))
        await store(db, one([(2, 4.0), (3, 6.0)], window=2))
        found = await asyncio.wait_for(task, SECONDS)
        listed = await EitherClient(kind, f"http://127.0.0.1:{port}").call("windows", "facility_1")
    assert found == listed[::-1]
    assert [each.sensors["temperature"].avg for each in found] == [1.0, 5.0]


async def test_only_the_sensors_that_were_asked_for_come(kind, db):
    async with (
        served(db) as port,
        tailing(kind, port, "facility_1", sensors="humidity", most=1) as task,
    ):
        await store(db, one([(1, 1.0)], window=1))
        await store(db, one([(1, 50.0)], window=2, sensor="humidity"))
        (found,) = await asyncio.wait_for(task, SECONDS)
    assert list(found.sensors) == ["humidity"]


async def test_after_a_restart_of_the_server_none_is_missing_and_none_comes_twice(kind, db):
    async with AsyncExitStack() as later:
        async with served(db) as port:
            task = await later.enter_async_context(tailing(kind, port, "facility_1", most=4))
            await store(db, one([(1, 1.0)], window=1))
        await store(db, *(one([(n, float(n))], window=n) for n in (2, 3)))
        await later.enter_async_context(served(db, port))
        await eventually(is_heard)
        await store(db, one([(4, 4.0)], window=4))
        found = await asyncio.wait_for(task, SECONDS)
    assert [each.sensors["temperature"].avg for each in found] == [1.0, 2.0, 3.0, 4.0]


async def test_without_a_replica_set_the_error_says_what_to_ask_instead(kind, mongod):
    async with fresh_database(mongod) as db, served(db) as port:
        with pytest.raises(ApiError, match="poll /api/series instead") as raised:
            await EitherClient(kind, f"http://127.0.0.1:{port}").call("live", most=1)
    assert raised.value.status == 501
