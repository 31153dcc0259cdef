"""Parts b and c: from Kafka to MongoDB, inserting and merging, against MongoDB's bulk writes."""

import asyncio
import os
import time
from collections.abc import Callable
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
from pymongo import MongoClient, ReplaceOne
from pymongo.collection import Collection
from pymongo.write_concern import WriteConcern
from sensorpipe_cli import embedded
from sensorpipe_cli.child import free_port
from sensorpipe_schema.kafka import KafkaSettings, ensure_topics
from sensorpipe_schema.names import COMPACTED, DEAD_COMPACTED, SERVER_GROUP
from sensorpipe_schema.settings import Environment

PARTIALS = int(os.environ.get("BENCH_PARTIALS", "60000"))
REPEATS = int(os.environ.get("BENCH_REPEATS", "3"))

SERVER = "sensorpipe-server"
INSERT_LIMIT = "insert_many of the same documents"
UPDATE_LIMIT = "bulk_write of the same documents"

_DEADLINE = 600.0
_WATCHED_EVERY = 0.05
_THE_ONLY_BROKER = 1

Documents = Collection[dict[str, Any]]


async def run(folder: Path) -> list[Part]:
    """Measure inserting and merging, each beside its limit."""
    insert = Part(
        "b. Server: new windows from Kafka to MongoDB",
        f"{PARTIALS:,} partials of 3 sensors of 10,000 readings; from the first committed offset "
        "to the last one.\nThe limit: one unordered insert_many, w: majority, j: true.",
        limit=INSERT_LIMIT,
    )
    merge = Part(
        "c. Server: a second partial of every window",
        "The same, merged into the windows that are there. The limit: one unordered bulk_write "
        "that replaces\nthem, w: majority, j: true.",
        limit=UPDATE_LIMIT,
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
        """Let the server insert and merge into a database, and do the same to a copy of it."""
        with MongoClient[dict[str, Any]](self._mongodb) as client:
            stored = client[name].compacted_sensor_readings
            durable = WriteConcern("majority", j=True)
            copy = client[f"{name}-limit"].get_collection("copy", write_concern=durable)
            insert.row(SERVER).add(*await self._server(name, 0))
            documents = list(stored.find())
            insert.row(INSERT_LIMIT).add(
                *_timed(lambda: copy.insert_many(documents, ordered=False))
            )
            merge.row(SERVER).add(*await self._server(name, PARTIALS))
            merge.row(UPDATE_LIMIT).add(*_timed(_replacing(copy, list(stored.find()))))
            client.drop_database(name)
            client.drop_database(f"{name}-limit")

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


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the rate of a bulk write of all partials, and our CPU µs for each."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    return PARTIALS / seconds, used / PARTIALS * 1e6


def _replacing(copy: Documents, documents: list[dict[str, Any]]) -> Callable[[], object]:
    writes = [ReplaceOne({"_id": document["_id"]}, document) for document in documents]
    return lambda: copy.bulk_write(writes, ordered=False)
