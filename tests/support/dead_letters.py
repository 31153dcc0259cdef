"""Dead letters as the compactor and the server write them, for tests that read them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from sensorpipe_compactor.output.records import dead_letter_record
from sensorpipe_compactor.windowing.kept_messages import DeadLetter
from sensorpipe_schema.names import COMPACTED, DEAD_COMPACTED, DEAD_READINGS
from sensorpipe_server.api.dead_letter_counts import DeadLetterCounts
from sensorpipe_server.api.dead_letters.newest import Newest, Part, Wanted
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


class Kept:
    """Dead letters of both topics that are in no Kafka: as many as are added."""

    topics = (DEAD_READINGS, DEAD_COMPACTED)

    def __init__(self) -> None:
        self.logs: tuple[list[Raw], list[Raw]] = ([], [])
        self.searches = 0
        """Number of times that they were read."""
        self.is_away = False
        """Whether Kafka does not answer."""

    def add(self, *letters: tuple[bytes, Headers], topic: int = 0, at_ms: int = 0) -> None:
        """Add dead letters to one of the topics, a millisecond apart."""
        for number, (value, headers) in enumerate(letters):
            log = self.logs[topic]
            log.append(Raw(self.topics[topic], 0, len(log), at_ms + number, value, headers))

    async def search(self, wanted: Wanted) -> Newest:
        """Search as the server does."""
        self.searches += 1
        if self.is_away:
            raise ConnectionError
        parts = [
            Part(name, 0, 0, len(log), len(log), wanted.limit)
            for name, log in zip(self.topics, self.logs, strict=True)
        ]
        return searched(Newest(wanted, parts), self.logs)

    async def counts(self) -> DeadLetterCounts:
        """Count as the server does."""
        return DeadLetterCounts(*([None, None] if self.is_away else map(len, self.logs)))


def searched(newest: Newest, logs: Sequence[Sequence[Raw]]) -> Newest:
    """Take the steps of a search over logs, those of its partitions, without Kafka."""
    log_of = dict(zip(((part.topic, part.partition) for part in newest.parts), logs, strict=True))
    while parts := newest.next_steps():
        for part in parts:
            assert part.step is not None
            for record in log_of[part.topic, part.partition][part.step.start : part.step.end]:
                newest.bytes += len(record.value or b"")
                part.step.take(record, newest.wanted)
        newest.finish(parts)
    return newest


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
