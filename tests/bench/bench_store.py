"""Parts b and c: from Kafka to MongoDB, against MongoDB's bulk writes and Kafka Connect."""

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from bench_connect import WARM_UP, Connect
from bench_offsets import Drained, Offsets
from bench_partials import produce
from bench_process import program
from bench_result import Aim, Figure, Part
from pymongo import MongoClient
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import free_port
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_runtime.settings import Environment
from sensorpipe_schema.names import COMPACTED, DEAD_COMPACTED, SERVER_GROUP
from sensorpipe_server.ingest.reader import MAX_RECORDS
from support import services
from support.services import running

PARTIALS = int(os.environ.get("BENCH_PARTIALS", "60000"))
REPEATS = int(os.environ.get("BENCH_REPEATS", "3"))

SERVER = "sensorpipe-server"
LOGS = "logs"
LIMIT = f"MongoDB, {MAX_RECORDS:,} a call"
ONE_CALL = "MongoDB, one call"
CONNECT = "Kafka Connect, upsert"

_IN_BULK = Path(__file__).with_name("store_in_bulk.py")
_ROLL_UP = Path(__file__).with_name("roll_up.py")


async def run(folder: Path) -> list[Part]:
    """Measure inserting and merging, each beside its limit."""
    new = Part(
        "b. Server: new windows from Kafka to MongoDB",
        f"{PARTIALS:,} partials of 3 sensors of 10,000 readings; from the first committed offset "
        "to the last one.\nThe limit, which the aim is about: the same documents from another "
        f"process with the same settings,\n{MAX_RECORDS:,} an unordered insert_many (as many as "
        "the server writes at once), w: majority, j: true, one\nafter the other. For comparison, "
        "all of them in a single insert_many; and Kafka Connect 4.3.1 with\nmongo-kafka-connect "
        "2.0.1, which gets the ready documents as BSON and upserts them by _id,\nup to "
        f"{MAX_RECORDS:,} at once, w: majority, j: true, after {WARM_UP:,} others to warm up.",
        limit=LIMIT,
    )
    further = Part(
        "c. Server: a further partial of every window",
        "The same for windows that have a partial already, and MongoDB's limit where those are "
        "stored. Kafka\nConnect replaces the documents of before by the same ones.",
        limit=LIMIT,
    )
    async with AsyncExitStack() as stack:
        kafka = await stack.enter_async_context(running(services.kafka(folder / "kafka")))
        mongod = embedded.mongod(free_port(), folder / "mongodb")
        await stack.enter_async_context(running(mongod))
        bench = _Bench(kafka.port or 0, mongod.port or 0, folder)
        await bench.prepare()
        for name in (SERVER, LIMIT, ONE_CALL):  # in this order, above Kafka Connect
            new.row(name), further.row(name)
        for turn in range(REPEATS):
            await bench.measure(f"bench-{turn}", new, further)
    new.figures = bench.rollups()
    new.aims = [*_aims(new), *_against_connect(new)]
    further.aims = _aims(further)
    return [new, further]


def _aims(part: Part) -> list[Aim]:
    return [
        Aim("share of the limit", part.ratio(SERVER), 0.7),
        Aim("CPU µs a partial", part.row(SERVER).cpu, 20, at_most=True),
    ]


def _against_connect(part: Part) -> list[Aim]:
    if not part.has(CONNECT):
        return []
    times = part.row(CONNECT).cpu / part.row(SERVER).cpu
    return [Aim("windows for each CPU second, times Connect's", times, 4)]


class _Bench:
    def __init__(self, kafka: int, mongod: int, folder: Path) -> None:
        self._kafka = kafka
        self._mongodb = f"mongodb://127.0.0.1:{mongod}"
        self._folder = folder
        self._read: list[dict[str, Any]] = []
        """What the server knows of the partitions' logs; without it, it reads all of them again."""
        self._at_once: list[float] = []
        self._daily: list[float] = []
        self._connect: Connect | None = None
        try:
            self._connect = Connect(kafka, self._mongodb, folder, MAX_RECORDS)
        except pytest.skip.Exception as reason:
            print(f"\nstore: without Kafka Connect: {reason}", flush=True)

    async def prepare(self) -> None:
        """Create the topics."""
        env = Environment({"SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{self._kafka}"})
        await ensure_topics(KafkaSettings.read(env), COMPACTED, DEAD_COMPACTED)

    async def measure(self, name: str, new: Part, further: Part) -> None:
        """Let the server store, and MongoDB alone and Kafka Connect do the same to copies."""
        if self._read:
            with MongoClient[dict[str, Any]](self._mongodb) as client:
                client[name][LOGS].insert_many(self._read)
        new.row(SERVER).add(*await self._server(name, 0))
        new.row(LIMIT).add(*await self._in_bulk(name, 0, MAX_RECORDS))
        new.row(ONE_CALL).add(*await self._in_bulk(name, 0, PARTIALS))
        if self._connect:
            stored, replaced = await self._connect.measure(name, COMPACTED)
            new.row(CONNECT).add(*stored)
            further.row(CONNECT).add(*replaced)
        await self._roll_up(name)
        further.row(SERVER).add(*await self._server(name, PARTIALS))
        further.row(LIMIT).add(*await self._in_bulk(name, PARTIALS, MAX_RECORDS))
        further.row(ONE_CALL).add(*await self._in_bulk(name, PARTIALS, PARTIALS))
        with MongoClient[dict[str, Any]](self._mongodb) as client:
            self._read = client[name][LOGS].find().to_list()
            client.drop_database(name)

    async def _in_bulk(self, name: str, before: int, batch: int) -> tuple[float, float]:
        """Return the rate at which bulk writes alone store the same, and their CPU µs for each."""
        uri = f"{self._mongodb}/{name}"
        seconds, cpu, count = await _output(
            _IN_BULK, uri, COMPACTED, "copy", str(before), str(batch)
        )
        return count / seconds, cpu / count * 1e6

    async def _roll_up(self, name: str) -> None:
        """Compute rollups of what is stored, as the server does beside storing."""
        at_once, windows, daily, daily_windows = await _output(_ROLL_UP, f"{self._mongodb}/{name}")
        self._at_once.append(at_once / windows * 1e6)
        self._daily.append(daily / daily_windows * 1e6)

    def rollups(self) -> list[Figure]:
        """Return what rollups took, which is not in the rows: the server's first round is later."""
        return [
            Figure("rollups, of what an outage left: CPU of a window", median(self._at_once), "µs"),
            Figure("rollups, every 5 minutes: CPU of a window", median(self._daily), "µs"),
        ]

    async def _server(self, name: str, first_number: int) -> Drained:
        """Let the server store partials."""
        await produce(self._kafka, PARTIALS, name, first_number + 1)
        environ = {
            "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{self._kafka}",
            "SENSORPIPE_MONGODB_URI": f"{self._mongodb}/{name}",
        }
        argv = ["-m", "sensorpipe_server"]
        async with Offsets(self._kafka, SERVER_GROUP, COMPACTED) as offsets:
            before = await offsets.committed()
            async with program("server", argv, self._folder, environ) as child:
                return await offsets.drained(child.pid, before, before + PARTIALS)


async def _output(program: Path, *argv: str) -> list[float]:
    """Run a program, and return the numbers that it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), *argv, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    numbers: list[float] = json.loads(output)
    return numbers
