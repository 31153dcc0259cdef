"""The server's consumer between a topic of Kafka and a database, both of one test's own."""

import asyncio
import uuid
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from sensorpipe_runtime.kafka.client import PARTITIONS, KafkaSettings
from sensorpipe_runtime.settings import Environment
from sensorpipe_server.ingest import metrics
from sensorpipe_server.ingest.consume import Ingest, Route
from support.server_parts import counts
from support.waiting import eventually


class Pipe:
    """Topics and a group of one test's own on a real broker."""

    def __init__(self, port, name=None):
        self.bootstrap = f"127.0.0.1:{port}"
        self.settings = KafkaSettings.read(
            Environment({"SENSORPIPE_KAFKA_BOOTSTRAP": self.bootstrap})
        )
        name = name or f"server-{uuid.uuid4().hex}"
        self.route = Route(name, f"{name}.dead_letter", f"{name}-group")

    def options(self):
        """Return the options of every client."""
        return {"bootstrap_servers": self.bootstrap}

    async def send(self, *messages, partition=0):
        """Send messages to one partition, in order."""
        async with AIOKafkaProducer(acks="all", **self.options()) as producer:
            sent = [
                await producer.send(
                    self.route.topic, message, key=b"facility_1", partition=partition
                )
                for message in messages
            ]
            for each in sent:
                await each

    async def committed(self):
        """Return the committed offsets of all partitions."""
        async with AIOKafkaConsumer(
            **self.options(),
            group_id=self.route.group,
            enable_auto_commit=False,
        ) as consumer:
            return [
                await consumer.committed(TopicPartition(self.route.topic, number)) or 0
                for number in range(PARTITIONS)
            ]

    async def commits(self, *expected):
        """Return once these are the committed offsets of the first partitions."""
        seen = None

        async def are_committed():
            nonlocal seen
            seen = await self.committed()
            return seen[: len(expected)] == [*expected]

        await eventually(are_committed, state=lambda: seen)

    async def dead_letters(self, count):
        """Return the first `count` dead letters."""
        async with AIOKafkaConsumer(
            self.route.dead_letters,
            **self.options(),
            auto_offset_reset="earliest",
            group_id=None,
        ) as consumer:
            async with asyncio.timeout(30):
                return [await consumer.getone() for _ in range(count)]

    @asynccontextmanager
    async def ingesting(self, db):
        """Run a consumer; on leaving, stop it and let it finish what it has in hand."""
        stop, ingest = asyncio.Event(), Ingest(self.settings, db, self.route)
        task = asyncio.create_task(ingest.run(stop))
        try:
            await eventually(lambda: ingest.is_assigned or task.done())
            yield task
        finally:
            stop.set()
            async with asyncio.timeout(60):
                await task


async def failures(count):
    """Return once so many more attempts to write have failed."""
    before = metrics.WRITE_FAILURES._value.get()
    await eventually(lambda: metrics.WRITE_FAILURES._value.get() >= before + count)


async def expect(db, expected):
    """Return once the windows hold so many readings each."""
    seen = None

    async def are_stored():
        nonlocal seen
        seen = await counts(db)
        return seen == expected

    await eventually(are_stored, state=lambda: seen)
