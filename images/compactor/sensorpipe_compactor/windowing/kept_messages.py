"""Messages that are kept as they came: dead letters, and readings ahead of our clock."""

from dataclasses import dataclass

from mqtt5 import PublishPacket
from sensorpipe_runtime.mqtt.frames import Message


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that is not a valid reading, with its number and the reason."""

    number: int
    topic: str
    payload: bytes
    reason: str
    detail: str
    feed: str | None = None
    """The Feed that refused the message; None if no Feed takes its topic."""


@dataclass(frozen=True, slots=True)
class AheadMessage:
    """A message whose `ts` is ahead of our clock, as long as either clock may be wrong."""

    number: int
    message: Message
    """The message without its properties."""
    ts: int


def without_properties(message: Message) -> Message:
    """Return a message's topic and payload only: its properties may take as much as its packet."""
    return PublishPacket(message.topic, message.payload)


def memory_bytes(kept: DeadLetter | Message) -> int:
    """Return roughly how many bytes a message takes in memory."""
    return len(kept.payload) + len(kept.topic)
