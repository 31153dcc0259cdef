"""The bytes of server-sent events. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sensorpipe_server.api.http.answers import encode
from sensorpipe_server.api.sensors import item
from sensorpipe_server.storage.mongodb.changes import Position
from sensorpipe_server.storage.reads.pages import Row

RETRY_MS: Final = 2000
"""Milliseconds after which a client connects again."""


class Event(NamedTuple):
    """An event as it is sent."""

    position: Position
    """The place in the change stream of which the event is; a client that has it resumes here."""
    content: bytes


class Chunk(NamedTuple):
    """Some events that are sent together; clients with the same selection share it."""

    content: bytes
    events: int
    """Number of events, for the limit of a client's queue."""


@dataclass(slots=True)
class Stored:
    """A window as it was at a place in the change stream, encoded once for each choice of sensors.

    `complete` says whether only late readings could change it then.
    """

    position: Position
    row: Row
    complete: bool
    _encoded: dict[tuple[str, ...], Event | None] = field(default_factory=dict)

    def event(self, sensors: tuple[str, ...]) -> Event | None:
        """Return the event with these sensors, all if there are none; None if it has none."""
        if sensors not in self._encoded:
            self._encoded[sensors] = self._encode(sensors)
        return self._encoded[sensors]

    def _encode(self, sensors: tuple[str, ...]) -> Event | None:
        if sensors and self.row.sensors.keys().isdisjoint(sensors):
            return None
        data = encode(item(self.row, list(sensors), complete=self.complete))
        head = f"id: {self.position}\nevent: window\ndata: ".encode()
        return Event(self.position, head + data + b"\n\n")


def opening(position: Position) -> bytes:
    """Return what a stream begins with: where to resume until there is an event, and when."""
    return f"retry: {RETRY_MS}\nid: {position}\n\n".encode()


def heartbeat(position: Position) -> Chunk:
    """Return a comment that shows that the stream lives, and where to resume from now on."""
    return Chunk(f": heartbeat\nid: {position}\n\n".encode(), 0)


def gap(position: Position, reason: str) -> Chunk:
    """Return the event that tells a client that it has missed others, up to a place."""
    data = encode({"reason": reason}).decode()
    return Chunk(f"id: {position}\nevent: gap\ndata: {data}\n\n".encode(), 1)


def chunk(events: Iterable[Event]) -> Chunk:
    """Return some events as one piece."""
    contents = [each.content for each in events]
    return Chunk(b"".join(contents), len(contents))
