"""Sends records to one Kafka topic, with a producer of its own."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_runtime.kafka.closing import close_client

from sensorpipe_compactor.output.records import Record
from sensorpipe_compactor.output.topic_limit import MAX_REQUEST, TopicLimit

ATTEMPT_SECONDS: Final = 30.0
"""Seconds that one attempt at Kafka may take. Then a new producer tries: an old one may be stuck
for good (aio-libs/aiokafka#1017)."""

_STOP_SECONDS: Final = 5.0
"""Seconds that a producer may take to end."""

_METADATA_MS: Final = 60_000
"""Milliseconds after which a producer asks again which partitions there are."""

_NO_TIME: Final = -1.0
"""Seconds for which aiokafka may send a batch again: it has expired when its answer comes."""


class LogReplacedError(Exception):
    """Offsets of the compacted topic went back: it was created again, or has lost its end.

    Only a restart finds out what is durable, and whether our fence is.
    """


class TopicProducer:
    """Sends records to one topic with `acks=all`; what it makes of one changes nothing for others.

    Its Kafka client is made when it is needed. It is not idempotent: a repeated partial carries
    the same (run, number), which the server counts once. It sends each batch once: whether what
    had no answer is sent again is for the caller, who must know that it may be durable.
    """

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self.limit = TopicLimit(settings, topic)
        self.client: AIOKafkaProducer | None = None
        """None until it is needed, and after a failed attempt."""
        self._settings = settings
        self._topic = topic

    async def send(self, records: list[Record]) -> list[RecordMetadata]:
        """Return what the broker says of each record; raise the first error."""
        results = await self.send_each(records)
        raise_first(results)
        return results

    async def send_each(self, records: list[Record]) -> list[Any]:
        """Return what the broker says of each record, or the error that it was refused with.

        Raises TimeoutError after 30 s, KafkaError without a connection, and LogReplacedError
        where the topic has not the partitions any more that records are for.
        """
        async with asyncio.timeout(ATTEMPT_SECONDS):
            client = await self._connected()
            await self._expect_partitions(client, records)
            sent = [
                await client.send(
                    record.topic,
                    record.value,
                    key=record.key,
                    headers=record.headers,
                    partition=record.partition,
                )
                for record in records
            ]
            return list(await asyncio.gather(*sent, return_exceptions=True))

    async def partitions(self) -> set[int]:
        """Return the topic's partitions as the client knows them; none where there is no client."""
        return set() if self.client is None else set(await self.client.partitions_for(self._topic))

    async def close(self) -> None:
        """End the client, if there is one; the next attempt makes a new one."""
        client, self.client = self.client, None
        if client is not None:
            await close_client(client, _STOP_SECONDS)

    async def _connected(self) -> AIOKafkaProducer:
        if self.client is None:
            self.client = AIOKafkaProducer(
                **self._settings.client_options(),
                acks="all",
                linger_ms=0,
                max_batch_size=self.limit.batch_bytes,
                max_request_size=MAX_REQUEST,
                metadata_max_age_ms=_METADATA_MS,
            )
            _send_each_batch_once(self.client)
            await self.client.start()
        return self.client

    async def _expect_partitions(self, client: AIOKafkaProducer, records: list[Record]) -> None:
        """Raise LogReplacedError where the topic has not the partitions any more that it had."""
        wanted = {record.partition for record in records} - {None}
        if wanted and not wanted <= await client.partitions_for(self._topic):
            await client.client.force_metadata_update()
            if missing := wanted - await client.partitions_for(self._topic):
                raise LogReplacedError(
                    f"{self._topic} has no partitions {missing} any more: it was deleted and "
                    "created again; a restart begins a new run"
                )


def _send_each_batch_once(client: AIOKafkaProducer) -> None:
    """Make a producer report the first error of a batch instead of sending it again.

    By default aiokafka repeats a batch for 40 s where an answer is lost, and reports the last
    error only. If the topic's limit was lowered meanwhile, that is "too large", for a batch that
    may be durable. `enable_idempotence` changes nothing: Kafka checks the size of a batch before
    it looks for repeats (`UnifiedLog.append`). aiokafka 0.14 has no option for it, as
    `request_timeout_ms` also says for how long Kafka may take to answer.
    """
    client._message_accumulator._batch_ttl = _NO_TIME  # noqa: SLF001


def raise_first(results: Iterable[Any]) -> None:
    """Raise the first error among results, if there is one."""
    for result in results:
        if isinstance(result, BaseException):
            raise result
