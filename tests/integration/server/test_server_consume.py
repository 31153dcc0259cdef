"""From Kafka to MongoDB: exactly once, through outages of either and through rebalances."""

import asyncio
import os
import signal

import pytest
from aiokafka.errors import GroupAuthorizationFailedError
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import free_port
from sensorpipe_runtime.backoff import Backoff
from sensorpipe_runtime.kafka.client import PARTITIONS
from sensorpipe_server.ingest import consume
from sensorpipe_server.ingest.consume import Ingest
from sensorpipe_server.storage.mongodb import database
from support.server_parts import fence_message, fresh_database, one
from support.server_pipe import Pipe, expect, failures
from support.services import running
from support.waiting import eventually

pytest_plugins = ["support.server_fixtures"]


@pytest.fixture(params=["tansu", "kafka"])
def pipe(request):
    return Pipe(request.getfixturevalue(request.param).port)


async def test_everything_is_stored_and_then_committed(pipe, db):
    async with pipe.ingesting(db):
        await pipe.send(*(one([(n + 1, 1.0)], window=n) for n in range(50)))
        await pipe.send(one([(1, 1.0)], facility="other"), partition=2)
        await expect(db, [1] * 51)
    assert await pipe.committed() == [50, 0, 1]


async def test_a_new_consumer_goes_on_where_the_last_one_committed(pipe, db):
    async with pipe.ingesting(db):
        await pipe.send(one([(1, 1.0)], number=1))
        await expect(db, [1])
    await pipe.send(one([(2, 1.0)], number=2))
    async with pipe.ingesting(db):
        await expect(db, [2])
    assert await pipe.committed() == [2, 0, 0]


async def test_what_is_no_partial_becomes_a_dead_letter_and_disturbs_nothing(pipe, db):
    async with pipe.ingesting(db):
        bad = [b"\xff\xff", b"", one([(1, 1.0)], facility="Bad Name")]
        await pipe.send(one([(1, 1.0)], number=1), *bad, one([(2, 1.0)], number=2))
        await expect(db, [2])
        letters = await pipe.dead_letters(3)
    assert [(letter.key, letter.value) for letter in letters] == [
        (b"facility_1", value) for value in bad
    ]
    headers = [dict(letter.headers) for letter in letters]
    assert [found["reason"] for found in headers] == [
        b"not_protobuf",
        b"no_origin",
        b"bad_facility_name",
    ]
    assert [found["offset"] for found in headers] == [b"1", b"2", b"3"]
    assert all(found["topic"].decode() == pipe.route.topic for found in headers)
    assert await pipe.committed() == [5, 0, 0]


async def test_a_dead_letter_that_no_longer_fits_says_where_the_whole_of_it_is(pipe, db):
    size = 1_048_576 - 200  # with key and framing just what a producer sends by default
    async with pipe.ingesting(db):
        await pipe.send(b"\xff" * size, one([(1, 1.0)]))
        await expect(db, [1])
        (letter,) = await pipe.dead_letters(1)
    assert letter.value == b""
    assert dict(letter.headers)["left_out"] == f"{size} bytes".encode()
    assert dict(letter.headers)["offset"] == b"0"


async def test_a_stalled_compactors_late_partial_does_not_count_even_after_a_restart(pipe, db):
    async with pipe.ingesting(db):
        await pipe.send(one([(1, 1.0)], number=1), fence_message(2))
        await expect(db, [1])
    await pipe.send(one([(2, 1.0)], number=2), one([(2, 1.0)], run=2, number=1))
    async with pipe.ingesting(db):
        await expect(db, [2])
    entry = await database.logs(db).find_one({"_id": f"{pipe.route.topic}/0"})
    assert entry is not None
    assert entry["fences"] == [{"log": entry["log"], "compactor": "c", "run": 2, "offset": 1}]
    assert entry["fenced"] == 1
    assert await pipe.committed() == [4, 0, 0]


@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_while_mongodb_is_away_nothing_is_committed_and_nothing_lost(
    tansu, tmp_path, monkeypatch, how
):
    monkeypatch.setattr("sensorpipe_server.ingest.writer.WRITE_SECONDS", 1.0)
    pipe, port = Pipe(tansu.port), free_port()
    async with (
        running(embedded.mongod(port, tmp_path)) as mongod,
        fresh_database(mongod) as db,
        pipe.ingesting(db) as task,
    ):
        await pipe.send(one([(1, 1.0)], number=1))
        await pipe.commits(1)
        if how == "stopped":
            await mongod.stop()
        else:
            os.kill(mongod.pid, signal.SIGSTOP)
        try:
            await pipe.send(*(one([(n, 1.0)], number=n, window=n % 2) for n in range(2, 30)))
            await failures(2)
            assert not task.done()
            assert await pipe.committed() == [1, 0, 0]
        finally:
            if how == "stopped":
                await mongod.start()
                await mongod.listening()
            else:
                os.kill(mongod.pid, signal.SIGCONT)
        await expect(db, [15, 14])
        await pipe.commits(29, 0, 0)


async def test_stopping_while_mongodb_is_away_commits_nothing(tansu, tmp_path, monkeypatch):
    monkeypatch.setattr("sensorpipe_server.ingest.consume.STOP_SECONDS", 0.5)
    pipe, port = Pipe(tansu.port), free_port()
    async with running(embedded.mongod(port, tmp_path)) as mongod, fresh_database(mongod) as db:
        async with pipe.ingesting(db):
            await mongod.stop()
            await pipe.send(one([(1, 1.0)]))
            await failures(1)
        assert await pipe.committed() == [0, 0, 0]
        await mongod.start()
        await mongod.listening()
        async with pipe.ingesting(db):
            await expect(db, [1])


async def test_a_rebalance_in_the_midst_of_retrying_loses_and_doubles_nothing(
    kafka, tmp_path, monkeypatch
):
    monkeypatch.setattr("sensorpipe_server.ingest.writer.WRITE_SECONDS", 1.0)
    pipe, port = Pipe(kafka.port), free_port()
    async with (
        running(embedded.mongod(port, tmp_path)) as mongod,
        fresh_database(mongod) as db,
        pipe.ingesting(db),
    ):
        await pipe.send(one([(1, 1.0)], number=1))
        await expect(db, [1])
        await mongod.stop()
        for partition in range(PARTITIONS):
            facility = "abc"[partition]
            messages = [
                one([(n, 1.0)], number=n, window=n % 5, facility=facility) for n in range(1, 51)
            ]
            await pipe.send(*messages, partition=partition)
        async with pipe.ingesting(db):  # a second server joins the group
            await mongod.start()
            await mongod.listening()
            await expect(db, [10] * 15 + [1])


async def test_a_broker_that_lost_its_memory_is_joined_again(mongod, tmp_path):
    port = free_port()
    pipe = Pipe(port)
    broker = embedded.kafka_broker(port, tmp_path)
    async with running(broker), fresh_database(mongod) as db, pipe.ingesting(db):
        await pipe.send(*(one([(n, 1.0)], number=n) for n in range(1, 6)))
        await expect(db, [5])
        await broker.stop()
        await broker.start()
        await broker.listening()

        async def sent():
            try:
                await asyncio.wait_for(pipe.send(one([(6, 1.0)], number=6)), 5)
            except TimeoutError:
                return False  # the topic is not there again yet
            return True

        await eventually(sent)
        await expect(db, [6])


async def test_a_broker_that_comes_late_is_waited_for(mongod, tmp_path, caplog):
    port = free_port()
    pipe = Pipe(port)
    stop = asyncio.Event()
    async with fresh_database(mongod) as db:
        ingest = Ingest(pipe.settings, db, pipe.route)
        task = asyncio.create_task(ingest.run(stop))
        await eventually(lambda: "Kafka is unavailable; trying again" in caplog.text)
        assert not task.done()
        async with running(embedded.kafka_broker(port, tmp_path)):
            await eventually(lambda: ingest.is_assigned)
            await pipe.send(one([(1, 1.0)]))
            await expect(db, [1])
            stop.set()
            await asyncio.wait_for(task, 30)


class Unusable:
    """Stands for a consumer or producer that nobody can do anything with."""

    async def stop(self):
        """Have nothing to stop."""


class Denied(Ingest):
    """Connects, and is denied at once what it asks for, so many times."""

    def __init__(self, *args, times, stop):
        super().__init__(*args)
        self.left, self.asked_to_stop = times, stop

    def _consumer(self):
        return Unusable()

    async def _connect(self, _):
        """Succeed."""
        return "log"

    async def _session(self, *_):
        self.left -= 1
        if not self.left:
            self.asked_to_stop.set()
        raise GroupAuthorizationFailedError("group")


@pytest.mark.parametrize("lasted", [False, True])
async def test_being_denied_is_reported_once_and_tried_less_and_less_often_unless_it_went_well(
    tansu, monkeypatch, caplog, lasted
):
    ceilings, stop = [], asyncio.Event()

    def shortened(_, high):
        ceilings.append(high)
        return 0.0

    monkeypatch.setattr(consume, "retry_backoff", lambda: Backoff(longest=5.0, uniform=shortened))
    monkeypatch.setattr(consume, "SUCCESS_SECONDS", -1.0 if lasted else 10.0)
    async with database.connect("mongodb://127.0.0.1:1") as client:
        settings = Pipe(tansu.port).settings
        await Denied(settings, database.database(client), times=4, stop=stop).run(stop)
    assert ceilings == ([0.1] * 4 if lasted else [0.1, 0.2, 0.4, 0.8])
    told = [line for line in caplog.messages if line == "Kafka is unavailable; trying again"]
    assert len(told) == (4 if lasted else 1)


async def test_stopping_waits_for_no_explanation(tansu, monkeypatch):
    async def for_ever(*_):
        stop.set()
        await asyncio.Event().wait()

    stop = asyncio.Event()
    monkeypatch.setattr(consume, "explain", for_ever)
    async with database.connect("mongodb://127.0.0.1:1") as client, asyncio.timeout(30):
        settings = Pipe(tansu.port).settings
        await Denied(settings, database.database(client), times=9, stop=stop).run(stop)
