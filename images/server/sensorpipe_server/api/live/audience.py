"""The clients by what they asked for, so that each piece is made once for all that share it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from sensorpipe_server.api.live import events
from sensorpipe_server.api.live.client import Client
from sensorpipe_server.api.live.events import Stored
from sensorpipe_server.api.live.selection import Selection
from sensorpipe_server.storage.reads.extents import matcher

REMEMBERED: Final = 10_000
"""Largest number of facilities for which it is remembered who wants them."""

ENCODED: Final = 100
"""Number of events that are encoded at a time: some 3 ms of work, where each client has asked for
other sensors."""


class Audience:
    """All clients that get events."""

    def __init__(self) -> None:
        self._clients: dict[Selection, set[Client]] = {}
        self._matchers: dict[Selection, Callable[[str], bool]] = {}
        self._wanting: dict[str, tuple[Selection, ...]] = {}

    def __len__(self) -> int:
        """Return the number of clients."""
        return sum(map(len, self._clients.values()))

    def __iter__(self) -> Iterator[Client]:
        """Iterate over all clients."""
        for some in self._clients.values():
            yield from some

    def join(self, client: Client) -> None:
        """Add a client."""
        chosen = client.selection
        if chosen not in self._clients:
            self._clients[chosen] = set()
            self._matchers[chosen] = matcher(chosen.facilities, chosen.granted)
            self._wanting.clear()
        self._clients[chosen].add(client)

    def leave(self, client: Client) -> None:
        """Remove a client."""
        some = self._clients.get(client.selection, set())
        some.discard(client)
        if not some and self._clients.pop(client.selection, None) is not None:
            del self._matchers[client.selection]
            self._wanting.clear()

    def wants(self, facility: str) -> bool:
        """Whether any client asked for a facility."""
        return bool(self._selections(facility))

    async def push(self, windows: Iterable[Stored]) -> None:
        """Give each client the events of windows that it asked for; other tasks run in between."""
        chosen: defaultdict[Selection, list[events.Event]] = defaultdict(list)
        encoded = 0
        for window in windows:
            for selection in self._selections(window.row.key.facility):
                event = window.event(selection.sensors)
                if event is not None:
                    chosen[selection].append(event)
                encoded += 1
                if encoded % ENCODED == 0:
                    await asyncio.sleep(0)
        for number, (selection, some) in enumerate(chosen.items(), 1):
            self._push(selection, some)
            if number % ENCODED == 0:
                await asyncio.sleep(0)

    def _push(self, selection: Selection, some: Sequence[events.Event]) -> None:
        shared = events.chunk(some)
        for client in self._clients.get(selection, ()):  # the last one may have left meanwhile
            client.push(some, shared)

    def _selections(self, facility: str) -> tuple[Selection, ...]:
        found = self._wanting.get(facility)
        if found is None:
            found = tuple(each for each, wants in self._matchers.items() if wants(facility))
            if len(self._wanting) >= REMEMBERED:
                self._wanting.clear()
            self._wanting[facility] = found
        return found
