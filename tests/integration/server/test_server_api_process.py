"""The API's process and the one that stores end together, however either ends."""

import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaProducer
from pymongo import AsyncMongoClient
from sensorpipe_cli.runner.ports import LOOPBACK, accepts
from sensorpipe_schema.names import COMPACTED
from sensorpipe_server.storage.mongodb import database
from support.server_parts import one
from support.server_process import Server, answered, api_of
from support.services import running
from support.waiting import eventually

APP_NAME = "sensorpipe-server"

HOLD_MS = 3_000
"""For how long MongoDB holds a read."""

PATIENT = """
from sensorpipe_server.storage.mongodb import database
database.READ_SECONDS = 120.0
from sensorpipe_server.api.http import server
server.GRACE_SECONDS = 120
from sensorpipe_server.__main__ import main
main()
"""
"""The server, with more time for reads and for the last answers."""


@pytest.fixture
async def server(tmp_path):
    made = Server(tmp_path)
    made.mongod._argv += ["--setParameter", "enableTestCommands=1"]
    async with running(made.kafka), running(made.mongod):
        yield made


def lines(program):
    return [json.loads(line) for line in program.log.read_text().splitlines()]


async def test_the_end_of_the_api_is_an_error_of_the_server(server):
    async with running(server.child()) as program:
        await server.ready()
        api_of(program).kill()
        assert await asyncio.wait_for(program.wait(), 30) == 1
        assert "ApiEndedError: the process of the API was ended by signal 9" in program.tail()


async def test_the_api_ends_where_the_server_is_killed_and_a_new_one_takes_its_port(server):
    async with running(server.child()) as program, server.client() as client:
        for _ in range(3):
            await eventually(lambda: answered(client, "/api/facilities", lambda _: True))
            former = api_of(program)
            program.send(signal.SIGKILL)
            await program.wait()
            await program.start()
            await asyncio.to_thread(former.wait, 30)
        await eventually(lambda: answered(client, "/api/facilities", lambda _: True))


@asynccontextmanager
async def held_reads(server: Server) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Have MongoDB hold each read of the server for a while; yield what counts those held now."""
    uri = f"mongodb://127.0.0.1:{server.mongod.port}"
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        data = {"failCommands": ["find"], "appName": APP_NAME}
        held = {**data, "blockConnection": True, "blockTimeMS": HOLD_MS}
        point = {"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": held}
        await client.admin.command(point)

        async def count() -> int:
            reads = {"appName": APP_NAME, "active": True, "command.find": "facilities"}
            stages: list[dict[str, Any]] = [
                {"$currentOp": {"idleConnections": False}},
                {"$match": reads},
            ]
            return len(await (await client.admin.aggregate(stages)).to_list())

        yield count


async def test_a_request_in_flight_is_answered_before_both_end(server):
    child = server.child()
    child._argv[-2:] = ["-c", PATIENT]  # a busy machine takes its time
    async with (
        running(child) as program,
        server.client() as client,
        AIOKafkaProducer(bootstrap_servers=server.bootstrap, acks="all") as producer,
    ):
        await server.ready()
        await producer.send_and_wait(COMPACTED, one([(1, 1.0)]), key=b"facility_1")
        path = "/api/facilities"
        await eventually(lambda: answered(client, path, lambda a: bool(a.json()["data"])))
        async with held_reads(server) as count:
            asking = [asyncio.create_task(client.get(path)) for _ in range(3)]

            async def are_in_flight() -> bool:
                return await count() == len(asking)

            await eventually(are_in_flight)
            api_of(program).terminate()  # which it leaves to the other process
            program.send(signal.SIGTERM)
            await eventually(lambda: not accepts(LOOPBACK, server.port))
            for answer in await asyncio.gather(*asking):
                assert [each["facility_name"] for each in answer.json()["data"]] == ["facility_1"]
        assert await asyncio.wait_for(program.wait(), 120) == 0
        assert [line["message"] for line in lines(program)][-1] == "stopped"
        assert "error" not in {line["level"] for line in lines(program)}


async def test_an_api_that_stands_still_holds_up_the_end_for_a_while_only(server):
    async with running(server.child()) as program:
        await server.ready()
        api_of(program).suspend()
        program.send(signal.SIGTERM)
        assert await asyncio.wait_for(program.wait(), 30) == 0
        assert "the API does not exit; killing it" in program.tail()


async def test_the_metrics_of_the_api_are_among_the_servers(server):
    async with running(server.child()), httpx2.AsyncClient(base_url=server.watched) as watcher:
        await server.ready()
        names = (
            "sensorpipe_server_api_process_resident_memory_bytes ",
            "# TYPE sensorpipe_server_http_refused_total counter",
        )
        await eventually(
            lambda: answered(watcher, "/metrics", lambda a: all(n in a.text for n in names))
        )
        assert (await watcher.get(f"{server.url}/metrics")).status_code == 404


PATHS = (
    "/api/stats?sensors=temperature",
    "/api/integrity",
    "/api/facilities",
    "/api/sensors/facility_1?offset=900",
)


async def leave(server, path, seconds):
    """Ask, and be gone after a while."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: server\r\n\r\n".encode())
    await asyncio.sleep(seconds)  # any moment will do
    writer.close()


async def no_scan_was_read_on(mongodb: database.Client) -> bool:
    """Return whether all cursors that are left gave their first batch only."""
    stages: list[dict[str, object]] = [
        {"$currentOp": {"idleCursors": True}},
        {"$match": {"type": "idleCursor"}},
    ]
    found = await (await mongodb.admin.aggregate(stages)).to_list()
    return all(int(each["cursor"]["nBatchesReturned"]) <= 1 for each in found)


async def test_clients_that_leave_at_any_moment_leave_nothing_behind(server):
    async with (
        running(server.child()) as program,
        httpx2.AsyncClient(base_url=server.url, timeout=60) as client,
        AIOKafkaProducer(bootstrap_servers=server.bootstrap, acks="all") as producer,
        database.connect(f"mongodb://127.0.0.1:{server.mongod.port}") as mongodb,
    ):
        for number in range(1, 1001):
            message = one([(number, 1.0)], window=number, number=number)
            await producer.send(COMPACTED, message, key=b"facility_1")
        await producer.flush()
        path = "/api/integrity"
        await eventually(
            lambda: answered(client, path, lambda a: a.json()["totals"]["count"] == 1000)
        )
        before, chance = api_of(program).num_fds(), random.Random(7)
        for _ in range(40):
            moments = [(chance.choice(PATHS), chance.expovariate(50)) for _ in range(10)]
            await asyncio.gather(*(leave(server, path, seconds) for path, seconds in moments))

        # A find that is cancelled under way leaves a cursor whose id nobody has learnt: MongoDB
        # keeps it for ten minutes. No scan goes on.
        await eventually(lambda: no_scan_was_read_on(mongodb))
        await eventually(lambda: api_of(program).num_fds() < before + 50)
        for path in PATHS:
            assert (await client.get(path)).status_code == 200
