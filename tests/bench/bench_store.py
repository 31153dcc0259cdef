"""Parts b and c: from Kafka to MongoDB, inserting and merging, against MongoDB's bulk writes."""

import asyncio
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import services
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError
from bench_partials import produce
from bench_process import cpu_seconds, program
from bench_result import Aim, Part
from conftest import running
from pymongo import MongoClient
from sensorpipe_cli import embedded
from sensorpipe_cli.child import free_port
from sensorpipe_schema.kafka import KafkaSettings, ensure_topics
from sensorpipe_schema.names import COMPACTED, DEAD_COMPACTED, SERVER_GROUP
from sensorpipe_schema.settings import Environment
from sensorpipe_server.reader import MAX_RECORDS

PARTIALS = int(os.environ.get("BENCH_PARTIALS", "60000"))
REPEATS = int(os.environ.get("BENCH_REPEATS", "3"))

SERVER = "sensorpipe-server"
LIMIT = f"MongoDB, {MAX_RECORDS:,} a call"
ONE_CALL = "MongoDB, one call"
GUARDED = f"MongoDB, {MAX_RECORDS:,} a call, guarded"

_DEADLINE = 600.0
_WATCHED_EVERY = 0.05
_THE_ONLY_BROKER = 1

_IN_BULK = Path(__file__).with_name("store_in_bulk.py")


async def run(folder: Path) -> list[Part]:
    """Measure inserting and merging, each beside its limit."""
    insert = Part(
        "b. Server: new windows from Kafka to MongoDB",
        f"{PARTIALS:,} partials of 3 sensors of 10,000 readings; from the first committed offset "
        "to the last one.\nThe limit, which the aim is about: the same documents from another "
        f"process with the same settings,\n{MAX_RECORDS:,} an unordered insert_many (as many as "
        "the server writes at once), w: majority, j: true, one\nafter the other. Above it, for "
        "comparison, all of them in a single insert_many.",
        limit=LIMIT,
    )
    merge = Part(
        "c. Server: a second partial of every window",
        "The same, merged into the windows that are there. The limit: bulk_write of the merged "
        "documents,\nunordered, each replacing the one before whatever that is, otherwise as "
        "above; for comparison, each\nonly where nobody has changed it meanwhile, which is the "
        "server's contract.",
        limit=LIMIT,
    )
    async with AsyncExitStack() as stack:
        kafka = await stack.enter_async_context(running(services.kafka(folder / "kafka")))
        mongod = embedded.mongod(free_port(), folder / "mongodb")
        await stack.enter_async_context(running(mongod))
        bench = _Bench(kafka.port or 0, mongod.port or 0, folder)
        await bench.prepare()
        for turn in range(REPEATS):
            await bench.measure(f"bench-{turn}", insert, merge)
    insert.aims = [Aim("share of the limit", insert.ratio(SERVER), 0.7)]
    merge.aims = [Aim("share of the limit", merge.ratio(SERVER), 0.8)]
    return [insert, merge]


class _Bench:
    def __init__(self, kafka: int, mongod: int, folder: Path) -> None:
        self._kafka = kafka
        self._mongodb = f"mongodb://127.0.0.1:{mongod}"
        self._folder = folder

    async def prepare(self) -> None:
        """Create the topics."""
        env = Environment({"SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{self._kafka}"})
        await ensure_topics(KafkaSettings.read(env), COMPACTED, DEAD_COMPACTED)

    async def measure(self, name: str, insert: Part, merge: Part) -> None:
        """Let the server insert and merge, and MongoDB alone do the same to copies."""
        insert.row(SERVER).add(*await self._server(name, 0))
        insert.row(LIMIT).add(*await self._in_bulk(name, "insert", MAX_RECORDS))
        insert.row(ONE_CALL).add(*await self._in_bulk(name, "insert", PARTIALS))
        merge.row(SERVER).add(*await self._server(name, PARTIALS))
        merge.row(LIMIT).add(*await self._in_bulk(name, "replace", MAX_RECORDS))
        merge.row(GUARDED).add(*await self._in_bulk(name, "guarded", MAX_RECORDS))
        merge.row(ONE_CALL).add(*await self._in_bulk(name, "replace", PARTIALS))
        with MongoClient[dict[str, Any]](self._mongodb) as client:
            client.drop_database(name)

    async def _in_bulk(self, name: str, kind: str, batch: int) -> tuple[float, float]:
        """Return the rate at which bulk writes alone store the same, and their CPU µs for each."""
        argv = [str(_IN_BULK), f"{self._mongodb}/{name}", COMPACTED, "copy", kind]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *argv, str(batch), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        seconds, cpu = json.loads(output)
        return PARTIALS / seconds, cpu / PARTIALS * 1e6

    async def _server(self, name: str, first_number: int) -> tuple[float, float]:
        """Return the rate at which the server stores partials, and its CPU µs for each."""
        await produce(self._kafka, PARTIALS, name, first_number + 1)
        environ = {
            "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{self._kafka}",
            "SENSORPIPE_MONGODB_URI": f"{self._mongodb}/{name}",
        }
        admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{self._kafka}")
        await admin.start()
        before = await _committed(admin)
        argv = ["-m", "sensorpipe_server"]
        try:
            async with program("server", argv, self._folder, environ) as child:
                return await _watch(admin, child.pid, before, before + PARTIALS)
        finally:
            await admin.close()


async def _watch(
    admin: AIOKafkaAdminClient, pid: int, before: int, end: int
) -> tuple[float, float]:
    deadline = time.monotonic() + _DEADLINE
    begun: tuple[int, float, float] | None = None
    while time.monotonic() < deadline:
        done = await _committed(admin)
        now, cpu = time.perf_counter(), cpu_seconds(pid)
        if done >= end and begun is not None:
            stored = done - begun[0]
            return stored / (now - begun[1]), (cpu - begun[2]) / stored * 1e6
        if done > before and begun is None:
            begun = done, now, cpu
        await asyncio.sleep(_WATCHED_EVERY)
    raise TimeoutError(f"the partials were not stored in {_DEADLINE:.0f} s")


async def _committed(admin: AIOKafkaAdminClient) -> int:
    """Return how many records the server's group has committed."""
    try:
        offsets = await admin.list_consumer_group_offsets(SERVER_GROUP, _THE_ONLY_BROKER)
    except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
        return 0  # Kafka is making the topic of the groups' offsets
    return sum(
        max(0, offset.offset)
        for partition, offset in offsets.items()
        if partition.topic == COMPACTED
    )
