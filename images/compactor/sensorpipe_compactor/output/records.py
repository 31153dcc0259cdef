"""Makes Kafka messages of partials and dead letters."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace
from sensorpipe_schema import dead_letters
from sensorpipe_schema.names import DEAD_READINGS

from sensorpipe_compactor.epoch.coverage import HEADER_BYTES
from sensorpipe_compactor.output.topic_limit import record_bytes
from sensorpipe_compactor.windowing.kept_messages import DeadLetter

_MAX_DETAIL: Final = 500
_MAX_TOPIC: Final = 1_000


Headers = list[tuple[str, bytes]]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One Kafka message that is to be written; its key chooses the partition."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers
    covers_partition: bool = True
    """Whether it covers all partials before it in its partition, see `epoch.coverage`."""

    @property
    def size(self) -> int:
        """How many bytes it takes alone in a batch, at most, with the header it gets."""
        return record_bytes(self.key, self.value, self.headers) + HEADER_BYTES


def largest_size(records: Sequence[Record]) -> int:
    """Return the size of the largest of records whose headers are the same."""
    sizes = [len(record.key) + len(record.value) for record in records]
    return records[sizes.index(max(sizes))].size


def dead_letter_record(letter: DeadLetter) -> Record:
    """Return the message of a dead letter: its payload, with the reason in the headers."""
    topic = letter.topic.encode()[:_MAX_TOPIC]
    headers = [
        (dead_letters.REASON, letter.reason.encode()),
        (dead_letters.DETAIL, letter.detail.encode()[:_MAX_DETAIL]),
        (dead_letters.MQTT_TOPIC, topic),
    ]
    if letter.feed is not None:
        headers.append((dead_letters.FEED, letter.feed.encode()))
    return Record(DEAD_READINGS, topic, letter.payload, headers)


def cut(letter: Record, max_bytes: int) -> Record:
    """Return a dead letter with as much of its payload as fits, saying so in a header."""
    if letter.size <= max_bytes:
        return letter
    header = (dead_letters.CUT_FROM, str(len(letter.value)).encode())
    marked = replace(letter, headers=[*letter.headers, header])
    keep = max(0, len(letter.value) - (marked.size - max_bytes))
    return replace(marked, value=letter.value[:keep])
