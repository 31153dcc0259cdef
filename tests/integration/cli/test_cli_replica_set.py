"""The embedded MongoDB of `sensorpipe up`: a replica set of one, whatever data and port it has."""

import signal
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import Child, ChildError, free_port
from support.services import running


async def add(mongod: Child) -> list[int]:
    """Store one more document durably, see it in a change stream; return all numbers."""
    uri = f"mongodb://127.0.0.1:{mongod.port}/?w=majority&journal=true"
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        numbers = client["mine"]["numbers"]
        async with await numbers.watch() as stream:
            await numbers.insert_one({"_id": await numbers.count_documents({})})
            added = await anext(stream)
        assert added["operationType"] == "insert"
        return [each["_id"] async for each in numbers.find(sort=["_id"])]


async def test_data_of_a_mongod_without_a_replica_set_get_one(tmp_path: Path):
    async with running(embedded.mongod(free_port(), tmp_path)) as alone:
        uri = f"mongodb://127.0.0.1:{alone.port}"
        async with AsyncMongoClient[dict[str, Any]](uri) as client:
            await client["mine"]["numbers"].insert_one({"_id": 0})
    async with running(embedded.mongod_replica_set(free_port(), tmp_path)) as mongod:
        assert await add(mongod) == [0, 1]


async def test_it_may_have_another_port_each_time(tmp_path: Path):
    first, other = free_port(), free_port()
    for number, port in enumerate((first, other, other, first), 1):
        async with running(embedded.mongod_replica_set(port, tmp_path)) as mongod:
            assert await add(mongod) == list(range(number))


async def test_killed_it_comes_back_on_another_port(tmp_path: Path):
    for number in range(1, 4):
        mongod = embedded.mongod_replica_set(free_port(), tmp_path)
        await mongod.start()
        try:
            await mongod.listening()
            assert await add(mongod) == list(range(number))
        finally:
            await mongod.kill()


async def test_killed_before_it_was_primary_it_comes_back(tmp_path: Path):
    started = embedded.mongod_replica_set(free_port(), tmp_path)
    await started.start()
    await Child.listening(started)
    await started.kill()
    async with running(embedded.mongod_replica_set(free_port(), tmp_path)) as mongod:
        assert await add(mongod) == [0]


async def test_its_oplog_is_small(tmp_path: Path):
    async with (
        running(embedded.mongod_replica_set(free_port(), tmp_path)) as mongod,
        AsyncMongoClient[dict[str, Any]](f"mongodb://127.0.0.1:{mongod.port}") as client,
    ):
        stats = await client["local"].command("collStats", "oplog.rs")
        assert stats["maxSize"] == 64 * 1024 * 1024


async def test_one_that_cannot_become_primary_ends_the_start(tmp_path: Path):
    mongod = embedded.mongod_replica_set(free_port(), tmp_path)
    mongod._argv[mongod._argv.index("sensorpipe", mongod._argv.index("--replSet"))] = "another"
    await mongod.start()
    try:
        with pytest.raises(ChildError, match=r"does not become the primary .* another"):
            await mongod.listening()
        assert mongod.returncode is None
    finally:
        mongod.send(signal.SIGKILL)
        await mongod.wait()


async def test_it_speaks_no_compression_in_which_it_may_send_what_is_not_asked_for(tmp_path: Path):
    async with running(embedded.mongod(free_port(), tmp_path)) as mongod:
        uri = f"mongodb://127.0.0.1:{mongod.port}"
        async with AsyncMongoClient[dict[str, Any]](uri) as client:
            answer = await client.admin.command("hello", compression=["zlib", "zstd"])
    assert answer["compression"] == ["zstd"]
