"""Part f: what a window takes on disk, in MongoDB and in Kafka."""

import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench_offsets import Offsets
from bench_partials import READINGS, produce
from bench_process import program
from bench_result import Figure, Part
from pymongo import MongoClient
from sensorpipe_cli.runner import embedded
from sensorpipe_cli.runner.child import free_port
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_runtime.settings import Environment
from sensorpipe_schema.names import COMPACTED, DEAD_COMPACTED, SERVER_GROUP
from support import services
from support.services import running

WINDOWS = int(os.environ.get("BENCH_PARTIALS", "60000"))


async def run(folder: Path) -> list[Part]:
    """Store windows and look at the files."""
    part = Part(
        "f. Size of a window",
        f"{WINDOWS:,} windows of 3 sensors of {READINGS:,} readings, one partial each, as one "
        "compactor makes them;\nin MongoDB by its collStats after a checkpoint (snappy, its "
        "default), in Kafka by its segments (no compression).",
    )
    async with AsyncExitStack() as stack:
        kafka = await stack.enter_async_context(running(services.kafka(folder / "kafka")))
        mongod = embedded.mongod(free_port(), folder / "mongodb")
        await stack.enter_async_context(running(mongod))
        uri = f"mongodb://127.0.0.1:{mongod.port}/bench"
        environ = {
            "SENSORPIPE_KAFKA_BOOTSTRAP": f"127.0.0.1:{kafka.port}",
            "SENSORPIPE_MONGODB_URI": uri,
        }
        await ensure_topics(KafkaSettings.read(Environment(environ)), COMPACTED, DEAD_COMPACTED)
        await produce(kafka.port or 0, WINDOWS, "bench", 1)
        async with (
            Offsets(kafka.port or 0, SERVER_GROUP, COMPACTED) as offsets,
            program("server", ["-m", "sensorpipe_server"], folder, environ) as child,
        ):
            await offsets.drained(child.pid, 0, WINDOWS)
        part.figures = [*_in_mongodb(uri), _in_kafka(folder / "kafka/data")]
    return [part]


def _in_mongodb(uri: str) -> list[Figure]:
    with MongoClient[dict[str, Any]](uri) as client:
        client.admin.command("fsync")
        stats = client.get_default_database().command("collStats", COMPACTED)
    return [
        Figure("a window in MongoDB's collection", stats["storageSize"] / WINDOWS, "bytes"),
        Figure("a window in its index", stats["totalIndexSize"] / WINDOWS, "bytes"),
        Figure("a document before compression", stats["avgObjSize"], "bytes"),
    ]


def _in_kafka(data: Path) -> Figure:
    size = sum(segment.stat().st_size for segment in data.glob(f"{COMPACTED}-*/*.log"))
    return Figure("a partial in Kafka", size / WINDOWS, "bytes")
