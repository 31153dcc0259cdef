"""Removing and remaking the topic of partials, at a moment when nothing is lost by it."""

import asyncio
import time
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

TOPIC: Final = "compacted_sensor_readings"
GROUP: Final = "data_server_group"
_PARTITIONS: Final = 3
_SECONDS: Final = 30.0


async def remake(bootstrap: str) -> bool:
    """Delete the topic once the server has committed all of it, and make it again.

    The caller has stopped whoever writes to it. Return False, with the topic as it was, where
    the server does not get to the end within half a minute.
    """
    if not await _caught_up(bootstrap):
        return False
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([TOPIC])
        for _ in range(100):  # its deletion takes a moment; the programs may make it, too
            answer = await admin.create_topics([NewTopic(TOPIC, _PARTITIONS, 1)])
            if answer.topic_errors[0][1] == 0:
                return True
            await asyncio.sleep(0.1)
        raise KafkaError(f"{TOPIC} cannot be made again: {answer}")
    finally:
        await admin.close()


async def _caught_up(bootstrap: str) -> bool:
    """Wait until what is committed is the end of each partition, at two looks in turn."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=GROUP, enable_auto_commit=False
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(TOPIC, number) for number in range(_PARTITIONS)]
        give_up, looks = time.monotonic() + _SECONDS, 0
        while looks < 2 and time.monotonic() < give_up:
            ends = await consumer.end_offsets(partitions)
            committed = [await consumer.committed(partition) or 0 for partition in partitions]
            looks = looks + 1 if committed == [ends[one] for one in partitions] else 0
            await asyncio.sleep(0.3)
        return looks == 2
    finally:
        await consumer.stop()
