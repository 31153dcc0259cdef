"""How large a record a Kafka topic takes: what the broker tells, or what it refuses."""

import asyncio
import logging
from collections.abc import Collection
from contextlib import closing
from typing import Final

from aiokafka.errors import KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from sensorpipe_runtime.aio import is_our_cancellation
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_runtime.kafka.topic_queries import TopicQueries

MAX_REQUEST: Final = 1_000_000
"""Bytes of the largest record that the client sends; Kafka takes a little more by default."""

_MAX_BATCH: Final = 512 * 1024
_CONFIG: Final = "max.message.bytes"

log = logging.getLogger(__name__)


def record_bytes(key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> int:
    """Return how many bytes a record takes alone in a batch, at most."""
    size: int = DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, headers)
    return size


class TopicLimit:
    """The largest record that a topic takes, as far as we know.

    Kafka's limit is one for batches: a record may be refused because of those beside it.
    """

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self.max_bytes = MAX_REQUEST
        self.batch_bytes = _MAX_BATCH
        """Bytes that a batch may have; with 1, each record is sent alone."""
        self._settings = settings
        self._topic = topic

    async def learn(self, sizes: Collection[int]) -> int:
        """Learn from records of these sizes that were refused.

        Returns the size above which such a record is certain to be too large by itself.
        """
        reported = await _max_message_bytes(self._settings, self._topic)
        if reported is not None and reported < self.max_bytes:
            self.max_bytes, certain = reported, reported
            self.batch_bytes = min(self.batch_bytes, reported)
        elif self.batch_bytes > 1:
            self.batch_bytes, certain = 1, self.max_bytes
        else:
            self.max_bytes, certain = min(sizes) // 2, 0
        log.warning(
            "Kafka refused records as too large; they are divided",
            extra={"topic": self._topic, "size": max(sizes), "limit": self.max_bytes},
        )
        return certain

    async def look_again(self) -> bool:
        """Ask for the topic's limit, which may have been raised; return whether it is more.

        It stays as it is where the broker does not tell it.
        """
        reported = await _max_message_bytes(self._settings, self._topic)
        if reported is None or min(reported, MAX_REQUEST) <= self.max_bytes:
            return False
        self.max_bytes = min(reported, MAX_REQUEST)
        self.batch_bytes = min(reported, _MAX_BATCH)
        log.info(
            "Kafka takes larger records than before",
            extra={"topic": self._topic, "limit": self.max_bytes},
        )
        return True


async def _max_message_bytes(settings: KafkaSettings, topic: str) -> int | None:
    """Return the topic's `max.message.bytes`; None if the broker does not tell us."""
    try:
        with closing(TopicQueries(settings)) as queries:
            reported = await queries.config(topic, _CONFIG)
    except (KafkaError, OSError, asyncio.CancelledError) as error:
        if is_our_cancellation(error):
            raise
        return None  # it takes the right DescribeConfigs, and not every broker knows it
    return int(reported) if reported else None
