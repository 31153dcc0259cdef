"""Clients of `/api/live` lose nothing by a fault of MongoDB, or are told that they did."""

import signal
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
from pymongo.errors import PyMongoError
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import free_port
from sensorpipe_server.storage.documents import unix_ms
from sensorpipe_server.storage.mongodb import database
from support.live_streams import listening, live
from support.replica_set import replica_set
from support.server_parts import T0, fresh_database, one, store
from support.services import running
from support.waiting import eventually

NO_LONGER = {"reason": "MongoDB no longer has all changes since then"}


@pytest.fixture
async def mongod_own(tmp_path):
    made = embedded.mongod_replica_set(free_port(), tmp_path)
    made._argv += ["--setParameter", "enableTestCommands=1"]
    async with running(made):
        yield made


@pytest.fixture
async def db(mongod_own):
    async with fresh_database(mongod_own) as fresh:
        yield fresh


async def store_window(db, number):
    """Store the next window, as soon as MongoDB takes it."""

    async def is_stored() -> bool:
        try:
            await store(db, one([(number, 1.0)], window=number, number=number))
        except PyMongoError:
            return False
        return True

    await eventually(is_stored)


async def numbers(stream, count):
    """Return the numbers of windows, from their starts."""
    events = await stream.events(count)
    assert {event.kind for event in events} == {"window"}
    starts = [datetime.fromisoformat(each.data["window"]["start_time"]) for each in events]
    return [(unix_ms(start) - T0) // 10_000 for start in starts]


@asynccontextmanager
async def failing(db, *commands, times="alwaysOn"):
    """Have MongoDB answer commands as if the changes since their place were gone."""
    admin = db.client.admin
    mode = times if isinstance(times, str) else {"times": times}
    data = {"failCommands": list(commands), "errorCode": 286}
    await admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})
    yield
    await admin.command({"configureFailPoint": "failCommand", "mode": "off"})


async def test_what_mongodb_has_forgotten_is_a_gap(db, monkeypatch):
    monkeypatch.setattr("sensorpipe_server.api.live.feed.BACK_SECONDS", 0)
    async with live(db) as port, listening(port) as stream:
        await store_window(db, 1)
        first = (await stream.event()).id
    await store_window(db, 2)
    async with (
        live(db) as port,
        listening(port),
        failing(db, "aggregate"),
        listening(port, last_id=first) as stream,
    ):
        event = await stream.event()
        assert (event.kind, event.data) == ("gap", NO_LONGER)
        await store_window(db, 3)
        assert await numbers(stream, 1) == [3]


async def test_a_server_that_falls_behind_what_mongodb_has_tells_all(db):
    async with live(db) as port, listening(port) as one_client, listening(port) as other:
        await store_window(db, 1)
        assert await numbers(one_client, 1) == await numbers(other, 1) == [1]
        async with failing(db, "getMore", times=1):
            for stream in (one_client, other):
                event = await stream.event()
                assert (event.kind, event.data) == ("gap", NO_LONGER)
        await store_window(db, 2)
        assert await numbers(one_client, 1) == await numbers(other, 1) == [2]


async def test_a_dropped_database_is_a_gap_and_what_comes_then_an_event(db):
    async with live(db) as port, listening(port) as stream:
        await store_window(db, 1)
        assert await numbers(stream, 1) == [1]
        await db.client.drop_database(db.name)
        event = await stream.event()
        assert (event.kind, event.data) == ("gap", {"reason": "the collection was dropped"})
        await store_window(db, 2)
        assert await numbers(stream, 1) == [2]


async def test_clients_miss_nothing_while_mongodb_is_away(mongod_own, db, caplog):
    async with live(db) as port, listening(port) as stream:
        await store_window(db, 1)
        assert await numbers(stream, 1) == [1]
        await mongod_own.kill()
        await eventually(lambda: "the change stream broke off" in caplog.text)
        await mongod_own.start()
        await mongod_own.listening()
        for number in (2, 3, 4):
            await store_window(db, number)
        assert await numbers(stream, 3) == [2, 3, 4]
    warnings = [each for each in caplog.records if each.levelname == "WARNING"]
    broken = [each for each in warnings if "the change stream broke off" in each.message]
    assert len(broken) == 1


async def test_clients_miss_nothing_while_mongodb_stands_still(mongod_own, db, caplog):
    async with live(db) as port, listening(port) as stream:
        mongod_own.send(signal.SIGSTOP)
        try:
            await eventually(lambda: "the change stream broke off" in caplog.text)
        finally:
            mongod_own.send(signal.SIGCONT)
        await store_window(db, 1)
        assert await numbers(stream, 1) == [1]


async def test_clients_miss_nothing_when_another_member_becomes_primary(tmp_path):
    async with replica_set(tmp_path) as members, database.connect(members.uri("live")) as client:
        db = database.database(client)
        async with live(db) as port, listening(port) as stream:
            await store_window(db, 1)
            assert await numbers(stream, 1) == [1]
            await members.members[0].kill()
            for number in (2, 3):
                await store_window(db, number)
            assert await numbers(stream, 2) == [2, 3]
            first = stream.last_id
            await store_window(db, 4)
        async with live(db) as port, listening(port, last_id=first) as stream:
            assert await numbers(stream, 1) == [4]
