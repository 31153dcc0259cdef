"""Sends records to one Kafka topic, with a producer of its own."""

import asyncio
import time
from collections.abc import Collection
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_runtime.kafka.closing import close_client

from sensorpipe_compactor.output.records import Record
from sensorpipe_compactor.output.sending import Sending
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

    def __init__(self, settings: KafkaSettings, topic: str, compression: str = "none") -> None:
        self.limit = TopicLimit(settings, topic)
        self.client: AIOKafkaProducer | None = None
        """None until it is needed, and after a failed attempt."""
        self._settings = settings
        self._topic = topic
        self._compression = compression

    async def send_one(self, record: Record, partition: int) -> int:
        """Send one record; return its offset, or raise why it is not known to be durable."""
        sending = Sending([record], {partition: [0]})
        await self.send(sending)
        if sending.too_large:
            raise MessageSizeTooLargeError
        ((offset, _),) = sending.durable[partition]
        return offset

    async def send(self, sending: Sending) -> None:
        """Send each record that is left, in batches; `sending` takes note of what becomes of each.

        A partition's batches go one after the other. Raises TimeoutError after 30 s,
        LogReplacedError where the topic has not the partitions any more, UncertainAppendError,
        and KafkaError where there is no connection or no answer that a batch is durable.
        """
        async with asyncio.timeout(ATTEMPT_SECONDS):
            client = await self.connect()
            left = sending.left
            await self._expect_partitions(client, left.keys())
            sending.begin_round()
            each = (self._send_batches(client, sending, *one) for one in left.items())
            for result in await asyncio.gather(*each, return_exceptions=True):
                if isinstance(result, BaseException):
                    raise result

    async def _send_batches(
        self, client: AIOKafkaProducer, sending: Sending, partition: int, left: list[int]
    ) -> None:
        """Send records to one partition, each batch once the one before is answered."""
        while left:
            batch = client.create_batch()
            count = _fill(batch, sending, partition, left)
            places, left = left[:count], left[count:]
            is_repeated = sending.sent(places)
            try:
                offset = await self._send_batch(client, partition, batch)
            except MessageSizeTooLargeError:
                sending.was_too_large(places, is_repeated=is_repeated)
            else:
                sending.written(partition, places, offset)

    async def _send_batch(
        self, client: AIOKafkaProducer, partition: int, batch: BatchBuilder
    ) -> int:
        """Return the offset of a batch's first record once it is durable."""
        if batch.size() > MAX_REQUEST:  # so it has one record
            raise MessageSizeTooLargeError
        answer = await client.send_batch(batch, self._topic, partition=partition)
        answer.add_done_callback(_notice)
        await asyncio.wait([answer])
        return int(answer.result().offset)

    async def partitions(self) -> set[int]:
        """Return the topic's partitions as the client knows them; none where there is no client."""
        return set() if self.client is None else set(await self.client.partitions_for(self._topic))

    async def close(self) -> None:
        """End the client, if there is one; the next attempt makes a new one."""
        client, self.client = self.client, None
        if client is not None:
            await close_client(client, _STOP_SECONDS)

    async def connect(self) -> AIOKafkaProducer:
        """Return the client, which is made and started if there is none."""
        if self.client is None:
            self.client = AIOKafkaProducer(
                **self._settings.client_options(),
                acks="all",
                linger_ms=0,
                compression_type=None if self._compression == "none" else self._compression,
                max_batch_size=self.limit.batch_bytes,
                max_request_size=MAX_REQUEST,
                metadata_max_age_ms=_METADATA_MS,
            )
            _send_each_batch_once(self.client)
            await self.client.start()
        return self.client

    async def _expect_partitions(self, client: AIOKafkaProducer, wanted: Collection[int]) -> None:
        """Raise LogReplacedError where the topic has not the partitions any more that it had."""
        if set(wanted) - await client.partitions_for(self._topic):
            await client.client.force_metadata_update()
            if missing := set(wanted) - await client.partitions_for(self._topic):
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


def _notice(answer: asyncio.Future[Any]) -> None:
    """Take note of an error: an attempt may have expired before it comes."""
    if not answer.cancelled():
        answer.exception()


def _fill(batch: BatchBuilder, sending: Sending, partition: int, places: list[int]) -> int:
    """Add records to a batch until it is full; return how many, at least one of any size."""
    now_ms, append = time.time_ns() // 1_000_000, batch.append
    more = sending.more_headers.get(partition, [])
    for place in places:
        record = sending.records[place]
        headers = record.headers + more
        if append(timestamp=now_ms, key=record.key, value=record.value, headers=headers) is None:
            break
    return int(batch.record_count())
