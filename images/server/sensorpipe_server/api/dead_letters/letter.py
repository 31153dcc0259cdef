"""Turns records of the dead-letter topics into items of the answer. Pure."""

import base64
from collections.abc import Iterable, Mapping
from typing import Final, Literal, Protocol

from sensorpipe_schema import dead_letters as headers_of
from sensorpipe_schema.dead_letters import what_to_do

from sensorpipe_server.api.openapi.answers import DeadLetter, KafkaPlace
from sensorpipe_server.storage.documents import END_OF_TIME_MS, date
from sensorpipe_server.storage.pending import KafkaRecord

MAX_PAYLOAD: Final = 2048
"""Largest number of bytes of a payload that are shown."""

MAX_TEXT: Final = 1000
"""Largest number of characters shown of a topic, reason, detail or name."""

_UTF8_BYTES: Final = 4
"""Largest number of bytes of a character in UTF-8."""


class Record(KafkaRecord, Protocol):
    """The parts of a Kafka record that a dead letter consists of."""

    @property
    def timestamp(self) -> int: ...  # noqa: D102  Kafka's names
    @property
    def headers(self) -> Iterable[tuple[str, bytes | None]]: ...  # noqa: D102  Kafka's names


class Headers:
    """The headers of a record as text, whatever was written into them."""

    def __init__(self, record: Record) -> None:
        self._values: Mapping[str, bytes | None] = dict(record.headers)

    def text(self, name: str) -> str | None:
        """Return a header without what is no UTF-8, at most 1,000 characters; None if none."""
        value = self._values.get(name)
        return None if value is None else value.decode("utf-8", "ignore")[:MAX_TEXT]

    def number(self, name: str) -> int | None:
        """Return a header that is a number of at most 18 digits; None if it is not there."""
        text = self.text(name) or ""
        return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None  # noqa: PLR2004


def letter_of(record: Record) -> DeadLetter:
    """Return the item of a record."""
    headers = Headers(record)
    reason = headers.text(headers_of.REASON) or ""
    value, feed = record.value or b"", headers.text(headers_of.FEED)
    payload, encoding = shown(value[:MAX_PAYLOAD], is_cut=len(value) > MAX_PAYLOAD)
    whole = headers.number(headers_of.CUT_FROM) or _left_out(headers) or len(value)
    return DeadLetter(
        at=date(min(max(record.timestamp, 0), END_OF_TIME_MS - 1)),
        topic=headers.text(headers_of.MQTT_TOPIC) or headers.text(headers_of.KAFKA_TOPIC) or "",
        reason=reason,
        detail=(headers.text(headers_of.DETAIL) or "").removeprefix(f"{reason}: "),
        what_to_do=what_to_do(reason, of_feed=feed is not None),
        feed=feed,
        payload=payload,
        payload_encoding=encoding,
        payload_bytes=whole,
        kept_at=KafkaPlace(record.topic, record.partition, record.offset),
        read_from=_read_from(headers),
    )


def shown(part: bytes, *, is_cut: bool) -> tuple[str, Literal["utf-8", "base64"]]:
    """Return the beginning of a payload as text, or else in base64, and which of them it is.

    With `is_cut` more follows, so that its last character may be incomplete.
    """
    try:
        return part.decode(), "utf-8"
    except UnicodeDecodeError as error:
        if is_cut and error.start > len(part) - _UTF8_BYTES and "end of data" in error.reason:
            return part[: error.start].decode(), "utf-8"
        return base64.b64encode(part).decode(), "base64"


def _left_out(headers: Headers) -> int | None:
    """Return the size of a payload that is not in the record at all: `123 bytes`."""
    text = (headers.text(headers_of.LEFT_OUT) or "").removesuffix(" bytes")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None  # noqa: PLR2004


def _read_from(headers: Headers) -> KafkaPlace | None:
    topic = headers.text(headers_of.KAFKA_TOPIC)
    partition = headers.number(headers_of.KAFKA_PARTITION)
    offset = headers.number(headers_of.KAFKA_OFFSET)
    if topic is None or partition is None or offset is None:
        return None
    return KafkaPlace(topic, partition, offset)
