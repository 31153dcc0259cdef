"""Writes dead letters with a producer of their own, so that partials never fail with them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from sensorpipe_runtime.aio import is_our_cancellation
from sensorpipe_runtime.kafka.client import KafkaSettings, ensure_topics
from sensorpipe_runtime.throttled_log import ThrottledLogger
from sensorpipe_schema.names import DEAD_READINGS

from sensorpipe_compactor.output.partitioning import by_partition
from sensorpipe_compactor.output.records import Record, cut
from sensorpipe_compactor.output.sending import Sending
from sensorpipe_compactor.output.topic_producer import TopicProducer

FAILURES: Final = (KafkaError, OSError, TimeoutError, asyncio.CancelledError)
"""What a failed attempt raises: a client's own tasks can raise the last (aio-libs/aiokafka#647)."""

_ATTEMPT_SECONDS: Final = 10.0
"""Seconds that one attempt may take, as partials wait for its end."""

_WAITING: Final = (
    "Dead letters cannot be written; readings are stored until the broker's in-flight limit is "
    "reached, as MQTT acknowledges in order"
)

log = logging.getLogger(__name__)


class DeadLetterTopic:
    """The topic of dead letters: each write is one attempt.

    `explain` returns why an attempt failed, and what to do, in words for the log.
    """

    def __init__(
        self, settings: KafkaSettings, explain: Callable[[BaseException], Awaitable[str]]
    ) -> None:
        self.producer = TopicProducer(settings, DEAD_READINGS)
        self.failures = 0
        """Attempts that failed."""
        self._settings = settings
        self._explain = explain
        self._has_failed = False
        self._throttled_log = ThrottledLogger(log)

    async def write(self, letters: list[Record]) -> bool:
        """Write dead letters in one attempt of at most 10 s; return whether they are durable.

        After a failure the topic is ensured again.
        """
        try:
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                if self._has_failed:
                    await ensure_topics(self._settings, DEAD_READINGS)
                await self._send(letters)
        except FAILURES as error:
            if is_our_cancellation(error):
                raise
            self.failures += 1
            await self.warn(error)
            await self.producer.close()
            return False
        self._has_failed = False
        self._throttled_log.resolved("Dead letters are written again", topic=DEAD_READINGS)
        return True

    async def warn(self, error: BaseException) -> None:
        """Take note that dead letters cannot be written for now, and log why."""
        self._has_failed = True
        reason = await self._explain(error)
        self._throttled_log.warning(_WAITING, topic=DEAD_READINGS, error=reason)

    async def _send(self, letters: list[Record]) -> None:
        limit = self.producer.limit
        fitting = [cut(letter, limit.max_bytes) for letter in letters]
        await self.producer.connect()
        partitions = sorted(await self.producer.partitions())
        keys = [letter.key for letter in fitting]
        sending = Sending(fitting, by_partition(keys, partitions))
        await self.producer.send(sending)
        if sending.too_large:
            await limit.learn([fitting[place].size for place in sending.too_large])
            raise MessageSizeTooLargeError
