"""What a compactor answers about its Feeds at `/feeds` of its monitoring port, as JSON."""

import hashlib
from enum import StrEnum
from typing import Final

import msgspec

MAX_BYTES: Final = 4 * 1024 * 1024
"""Largest size of a report, in bytes: 1,000 Feeds with the longest texts need less."""

MAX_TEXT: Final = 256
"""Largest number of characters of a topic or detail."""


class Subscription(StrEnum):
    """Whether the broker delivers the messages of a Feed."""

    SUBSCRIBED = "subscribed"
    REFUSED = "refused"
    """The broker refuses the filter."""
    WAITING = "waiting"
    """There is no connection, or no answer of the broker yet."""


class LastRefused(msgspec.Struct, rename="camel"):
    """The last message of a Feed that became a dead letter."""

    at: str
    """When it arrived: RFC 3339, UTC."""
    topic: str
    reason: str
    detail: str


class FeedReport(msgspec.Struct, rename="camel"):
    """A Feed in use. Its numbers count from the start of the compactor or the Feed's first use."""

    name: str
    """`NAMESPACE/NAME`, or only the name if its file names no namespace."""
    file: str
    digest: str
    """Of the version of the file that is in use."""
    filter: str
    """The MQTT topic filter that is subscribed."""
    subscription: Subscription
    refusal: str = ""
    """The broker's reason if it refuses the filter, such as `NOT_AUTHORIZED`."""
    topics: int = 0
    """Number of topics with messages; counted up to a limit for all Feeds together."""
    messages: int = 0
    """Messages received, redelivered ones included."""
    readings: int = 0
    """Readings made of them, before repeats are dropped."""
    empty: int = 0
    """Messages without any of the named values."""
    refused: int = 0
    """Messages that became dead letters."""
    last_refused: LastRefused | None = None


class CompactorReport(msgspec.Struct, rename="camel"):
    """All Feeds of a compactor, and the files that they come from."""

    connected: bool
    """Whether the compactor is connected to the broker."""
    files: dict[str, str] = {}
    """Digests of the files as last read, by their names, whether they are in use or not."""
    problems: dict[str, list[str]] = {}
    """What is wrong in them, by their names."""
    feeds: list[FeedReport] = []


def file_digest(content: bytes) -> str:
    """Return the digest of a file's content: 16 hexadecimal characters."""
    return hashlib.sha256(content).hexdigest()[:16]


def encode_report(report: CompactorReport) -> bytes:
    """Return a report as JSON."""
    return msgspec.json.encode(report)


def decode_report(content: bytes) -> CompactorReport:
    """Read a report; raise ValueError if it is none."""
    return msgspec.json.decode(content, type=CompactorReport)
