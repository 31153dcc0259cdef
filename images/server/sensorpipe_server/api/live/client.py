"""What waits for one client: bounded, and given up at the bound. Pure but for the wake-up."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from sensorpipe_server.api.live import events, metrics
from sensorpipe_server.api.live.events import Chunk, Event
from sensorpipe_server.api.live.selection import Selection
from sensorpipe_server.storage.mongodb.changes import Position

MAX_EVENTS: Final = 256
"""Largest number of events that wait for a client."""

MAX_BYTES: Final = 256 * 1024
"""Largest number of bytes that wait for a client, unless it is a single piece."""

SEND_BYTES: Final = 32 * 1024
"""Number of bytes from which on no more pieces are sent together."""

TOO_SLOW: Final = "the client read too slowly"


class Client:
    """The queue of one client, and what it asked for."""

    def __init__(self, selection: Selection, position: Position) -> None:
        self.selection = selection
        self.position = position
        """The place up to which it has everything; earlier events are not for it."""
        self.is_closed = False
        """Whether nothing more is to be sent."""
        self._waiting: deque[Chunk] = deque()
        self._events = self._bytes = 0
        self._wake = asyncio.Event()

    def push(self, some: Sequence[Event], shared: Chunk) -> None:
        """Add events, of which `shared` is the piece, as far as they are behind `position`."""
        if some[0].position <= self.position:
            some = [each for each in some if each.position > self.position]
            if not some:
                return
            shared = events.chunk(some)
        self.position = some[-1].position
        self.add(shared)

    def add(self, chunk: Chunk) -> None:
        """Add a piece; if too much waits, drop all of it for an event that says so."""
        full = self._events + chunk.events > MAX_EVENTS
        if full or (self._waiting and self._bytes + len(chunk.content) > MAX_BYTES):
            self.give_up(TOO_SLOW)
        else:
            self._append(chunk)

    def give_up(self, reason: str) -> None:
        """Drop what waits, and tell the client that it has missed something."""
        self._waiting.clear()
        self._events = self._bytes = 0
        metrics.GAPS.inc()
        self._append(events.gap(self.position, reason))

    def beat(self, position: Position, chunk: Chunk) -> None:
        """Add the heartbeat of a place, unless something waits or the client is further."""
        if not self._waiting and position >= self.position:
            self._append(chunk)

    def close(self) -> None:
        """End the stream of this client."""
        self.is_closed = True
        self._wake.set()

    async def take(self) -> tuple[bytes, int]:
        """Wait for something and return it, with the number of events in it.

        Returns nothing once the client is closed.
        """
        while not self._waiting and not self.is_closed:
            self._wake.clear()
            await self._wake.wait()
        pieces: list[bytes] = []
        size = number = 0
        while self._waiting and size < SEND_BYTES:
            content, count = self._waiting.popleft()
            pieces.append(content)
            size += len(content)
            number += count
        self._events -= number
        self._bytes -= size
        return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), number

    def _append(self, chunk: Chunk) -> None:
        self._waiting.append(chunk)
        self._events += chunk.events
        self._bytes += len(chunk.content)
        self._wake.set()
