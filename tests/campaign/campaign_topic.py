"""What an operator may do to the topic of partials, at a moment when nothing is lost by it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.errors import KafkaError

TOPIC: Final = "compacted_sensor_readings"
GROUP: Final = "data_server_group"
_PARTITIONS: Final = 3
_MOST_PARTITIONS: Final = 12
_SECONDS: Final = 60.0


async def remake(bootstrap: str) -> bool:
    """Delete the topic once the server has committed all of it, and make it again.

    The caller has stopped whoever writes to it. Return False, with the topic as it was, where
    the server does not get to the end within a minute.
    """
    if not await is_read(bootstrap):
        return False
    async with _administrating(bootstrap) as admin:
        await admin.delete_topics([TOPIC])
        for _ in range(100):  # its deletion takes a moment; the programs may make it, too
            answer = await admin.create_topics([NewTopic(TOPIC, _PARTITIONS, 1)])
            if answer.topic_errors[0][1] == 0:
                return True
            await asyncio.sleep(0.1)
        raise KafkaError(f"{TOPIC} cannot be made again: {answer}")


async def raise_partitions(bootstrap: str, more: int) -> bool:
    """Give the topic more partitions; return False where it has enough for a campaign."""
    async with _administrating(bootstrap) as admin:
        count = len(await _partitions(admin)) + more
        if count > _MOST_PARTITIONS:
            return False
        answer = await admin.create_partitions({TOPIC: NewPartitions(count)})
        if answer.topic_errors[0][1]:
            raise KafkaError(f"{TOPIC} cannot have {count} partitions: {answer}")
        return True


async def expire(bootstrap: str) -> bool:
    """Delete all records once the server has committed them, as Kafka does after its retention.

    The caller has stopped whoever writes to it. Return False, with the topic as it was, where
    the server does not get to the end within a minute.
    """
    if not await is_read(bootstrap):
        return False
    async with _administrating(bootstrap) as admin:
        ends = await _ends(bootstrap, await _partitions(admin))
        await admin.delete_records({one: RecordsToDelete(end) for one, end in ends.items()})
        return True


async def reached(bootstrap: str) -> None:
    """Wait until Kafka answers; raise KafkaError after a minute."""
    async with _administrating(bootstrap):
        pass


async def is_read(bootstrap: str) -> bool:
    """Wait until what is committed is the end of each partition, at two looks in turn."""
    give_up, looks = time.monotonic() + _SECONDS, 0
    async with _administrating(bootstrap) as admin:
        while looks < 2 and time.monotonic() < give_up:
            try:
                looks = looks + 1 if await _is_end(bootstrap, admin) else 0
            except KafkaError:  # it has just been started
                looks = 0
            await asyncio.sleep(0.3)
        return looks == 2


async def _is_end(bootstrap: str, admin: AIOKafkaAdminClient) -> bool:
    partitions = await _partitions(admin)
    ends = await _ends(bootstrap, partitions)
    committed = await admin.list_consumer_group_offsets(GROUP, partitions=partitions)
    offsets = {one: max(0, found.offset) for one, found in committed.items()}
    return all(offsets.get(one, 0) == end for one, end in ends.items())


@asynccontextmanager
async def _administrating(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Lend a client; Kafka may still be starting."""
    admin, give_up = AIOKafkaAdminClient(bootstrap_servers=bootstrap), time.monotonic() + _SECONDS
    try:
        while True:
            try:
                await admin.start()
                break
            except KafkaError:
                if time.monotonic() > give_up:
                    raise
            await asyncio.sleep(1)
        yield admin
    finally:
        await admin.close()


async def _partitions(admin: AIOKafkaAdminClient) -> list[TopicPartition]:
    (topic,) = await admin.describe_topics([TOPIC])
    return [TopicPartition(TOPIC, found["partition"]) for found in topic["partitions"]]


async def _ends(bootstrap: str, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        found: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        return found
    finally:
        await consumer.stop()
