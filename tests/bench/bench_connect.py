"""The peer of the store: Kafka Connect 4.3.1 with MongoDB's sink connector 2.0.1.

It is given what the server stored, ready documents as BSON, so that nothing is left to compute
or to parse: it takes them from Kafka and upserts them by `_id`.
"""

import os
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from bench_offsets import Drained, Offsets
from bson import encode
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from sensorpipe_cli.runner.child import Child, free_port
from support.services import ROOT

LIBS = Path(os.environ.get("SENSORPIPE_BENCH_CONNECT_LIBS", ROOT / ".cache/connect/libs"))

WARM_UP = 20_000
"""Windows that Connect stores first: until then the JVM still compiles most of what it runs."""

_START_SECONDS = 300.0
"""It looks through all its jars first, which takes more than a minute on a busy machine."""

_WORKER = """\
bootstrap.servers=127.0.0.1:{kafka}
listeners=http://127.0.0.1:{port}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.converters.ByteArrayConverter
offset.storage.file.filename={folder}/offsets
offset.flush.interval.ms=250
"""

_SINK = """\
name={topic}
connector.class=com.mongodb.kafka.connect.MongoSinkConnector
tasks.max=1
topics={topic}
connection.uri={mongodb}/?w=majority&journal=true
database={database}
collection=connect
document.id.strategy=com.mongodb.kafka.connect.sink.processor.id.strategy.ProvidedInValueStrategy
writemodel.strategy=com.mongodb.kafka.connect.sink.writemodel.strategy.ReplaceOneDefaultStrategy
bulk.write.ordered=false
consumer.override.max.poll.records={records}
consumer.override.max.partition.fetch.bytes=8388608
"""

_JVM = [  # as Kafka's own bin/connect-standalone.sh starts it
    *("-Xms256M", "-Xmx2G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"),
    *("-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent"),
    *("-XX:MaxInlineLevel=15", "-Djava.awt.headless=true"),
]


def java() -> str:
    """Return the Java that runs Connect, or skip with the command that brings Connect."""
    program = shutil.which("java")
    if program is None or not list(LIBS.glob("mongo-kafka-connect-*.jar")):
        pytest.skip("no Kafka Connect here; `make bench-connect` brings it (Java 17 and Maven)")
    return program


class Connect:
    """Connect between one Kafka and one MongoDB, writing up to `records` documents at once."""

    def __init__(self, kafka: int, mongodb: str, folder: Path, records: int) -> None:
        self._java = java()
        self._kafka = kafka
        self._mongodb = mongodb
        self._folder = folder
        self._records = records

    async def measure(self, database: str, source: str) -> tuple[Drained, Drained]:
        """Let it store the documents of a collection as new ones, and then replace all of them.

        They lie in a topic of one partition before it starts, so that one follows the other.
        """
        topic = f"{database}-documents"
        with MongoClient[Any](self._mongodb, document_class=RawBSONDocument) as client:
            documents = [document.raw for document in client[database][source].find()]
        count = len(documents)
        warm_up = [_another(raw, at) for at, raw in enumerate(documents[:WARM_UP])]
        await self._produce(topic, [*warm_up, *documents, *documents])
        new, known = len(warm_up), len(warm_up) + count
        async with (
            self._running(topic, database) as child,
            Offsets(self._kafka, f"connect-{topic}", topic) as offsets,
        ):
            return (
                await offsets.drained(child.pid, new, known),
                await offsets.drained(child.pid, known, known + count),
            )

    async def _produce(self, topic: str, values: Iterable[bytes]) -> None:
        bootstrap = f"127.0.0.1:{self._kafka}"
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(topic, 1, 1)])
        await admin.close()
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=1 << 19)
        async with producer:
            for value in values:
                await producer.send(topic, value)
            await producer.flush()

    @asynccontextmanager
    async def _running(self, topic: str, database: str) -> AsyncIterator[Child]:
        folder = self._folder / topic
        folder.mkdir()
        port = free_port()
        worker, sink = folder / "worker.properties", folder / "sink.properties"
        worker.write_text(_WORKER.format(kafka=self._kafka, port=port, folder=folder))
        sink.write_text(
            _SINK.format(
                topic=topic, mongodb=self._mongodb, database=database, records=self._records
            )
        )
        argv = [self._java, *_JVM, "-cp", f"{LIBS}/*"]
        argv += ["org.apache.kafka.connect.cli.ConnectStandalone", str(worker), str(sink)]
        child = Child("connect", argv, folder / "connect.log", port=port)
        await child.start()
        try:
            await child.listening(_START_SECONDS)
            yield child
        finally:
            await child.stop()


def _another(raw: bytes, number: int) -> bytes:
    """Return a document with another `_id`, different for each number."""
    return encode({**RawBSONDocument(raw), "_id": f"warm/{number}"})
