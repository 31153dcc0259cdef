"""Refuses a topic whose log Kafka compacts: that removes records which were never read."""

import asyncio
import logging
from contextlib import closing, suppress
from functools import lru_cache
from typing import Final

from aiokafka.errors import TopicAuthorizationFailedError, UnknownTopicOrPartitionError

from sensorpipe_runtime.kafka.topic_queries import ClientSettings, TopicQueries

_POLICY: Final = "cleanup.policy"
_ATTEMPTS: Final = 50
_PAUSE_SECONDS: Final = 0.1

log = logging.getLogger(__name__)


class LogCompactionError(Exception):
    """Kafka compacts the log of a topic whose records all count."""


async def refuse_compaction(settings: ClientSettings, topic: str) -> None:
    """Raise LogCompactionError if the topic's `cleanup.policy` contains `compact`.

    Where the user may not describe the topic's configuration, a warning is logged once
    and the topic counts as good. Raises KafkaError, OSError or TimeoutError where Kafka
    does not answer, or does not know the topic for 5 s.
    """
    try:
        policy = await _policy(settings, topic)
    except TopicAuthorizationFailedError:
        _warn(topic)
        return
    if "compact" in (policy or "").replace(" ", "").split(","):
        raise LogCompactionError(
            f"the topic {topic} has {_POLICY}={policy}: Kafka keeps only the newest record of "
            f"each key of it, so readings that were accepted would be lost; set {_POLICY}=delete "
            "(with Strimzi in its KafkaTopic, else by kafka-configs.sh --alter --entity-type "
            f"topics --entity-name {topic} --add-config {_POLICY}=delete) and start again"
        )


async def _policy(settings: ClientSettings, topic: str) -> str | None:
    with closing(TopicQueries(settings)) as queries:
        for _ in range(_ATTEMPTS):
            # a broker hears of a topic that was just created somewhat later than its creator
            with suppress(UnknownTopicOrPartitionError):
                return await queries.config(topic, _POLICY)
            await asyncio.sleep(_PAUSE_SECONDS)
        return await queries.config(topic, _POLICY)


@lru_cache(maxsize=8)
def _warn(topic: str) -> None:
    log.warning(
        "Kafka does not tell whether it compacts the topic, which would lose readings; give "
        "the user the right DescribeConfigs on it",
        extra={"topic": topic},
    )
