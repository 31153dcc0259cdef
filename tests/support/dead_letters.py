"""Dead letters as the compactor and the server write them, for tests that read them."""

from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from sensorpipe_compactor.buffers import DeadLetter
from sensorpipe_compactor.output.records import dead_letter_record
from sensorpipe_schema.names import COMPACTED
from sensorpipe_server.ingest.dead_letter import headers_of
from sensorpipe_server.storage.pending import RefusedRecord

Headers = list[tuple[str, bytes]]


class Raw(NamedTuple):
    """A record of Kafka, as far as a reader of dead letters looks at it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    headers: Iterable[tuple[str, bytes | None]]
    key: bytes | None = None


def refused_message(
    reason: str,
    topic: str = "sensor_readings/hall/t",
    payload: bytes = b"x",
    detail: str = "",
    feed: str | None = None,
) -> tuple[bytes, Headers]:
    """Return payload and headers of a dead letter as the compactor writes them."""
    record = dead_letter_record(DeadLetter(1, topic, payload, reason, detail, feed))
    return record.value, record.headers


def refused_partial(reason: str, payload: bytes, detail: str = "") -> tuple[bytes, Headers]:
    """Return payload and headers of a dead letter as the server writes them."""
    record = Raw(COMPACTED, 2, 41, 0, payload, ())
    return payload, headers_of(RefusedRecord(record, reason, detail))


async def write(
    bootstrap: str,
    topic: str,
    letters: Iterable[tuple[bytes, Headers]],
    *,
    at_ms: int | None = None,
    partition: int | None = None,
    batch_bytes: int = 1,
) -> None:
    """Write dead letters to a topic: from `at_ms` on, a millisecond apart, or else now.

    By default each is a batch of its own: the embedded Kafka says an end within the newest batch.
    """
    options = {"bootstrap_servers": bootstrap, "acks": "all", "max_batch_size": batch_bytes}
    async with AIOKafkaProducer(**options) as producer:
        sent = [
            await producer.send(
                topic,
                value,
                headers=headers,
                partition=partition,
                timestamp_ms=None if at_ms is None else at_ms + number,
            )
            for number, (value, headers) in enumerate(letters)
        ]
        for each in sent:
            await each
