"""Has a client join where it left off: with what it has missed, or the news that this is lost."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import Final

from sensorpipe_server.api.live.client import Client
from sensorpipe_server.api.live.feed import Feed
from sensorpipe_server.api.live.recent import window_of
from sensorpipe_server.api.live.selection import Selection
from sensorpipe_server.storage.documents import WindowKey
from sensorpipe_server.storage.mongodb import changes
from sensorpipe_server.storage.mongodb.changes import Change, LostError, Position
from sensorpipe_server.storage.pace import aside
from sensorpipe_server.storage.reads.extents import matcher

AT_ONCE: Final = 4
"""Largest number of clients at once that have a change stream of their own to catch up."""

CATCH_UP_SECONDS: Final = 30.0
"""Seconds for a client to catch up with the others, waiting for its turn included."""

MAX_WINDOWS: Final = 50_000
"""Largest number of missed windows that are sent; a client that missed more reads a series."""

CHANGE_BYTES: Final = 5
"""As much work as choosing among changes is so much of a message, for each of them."""

PATTERN_BYTES: Final = 2
"""The same for each pattern, where each change is of another facility."""

Wants = Callable[[str], bool]
"""Whether a facility was asked for."""


@dataclass(slots=True)
class Joined:
    """A client that gets what happens from `client.position` on, and what it has missed."""

    client: Client
    since: Position
    """The place up to which it had everything before."""
    missed: dict[WindowKey, Position] = field(default_factory=dict)
    """The windows that changed since, in order of the place of their last change."""


class Joining:
    """Lets clients join a feed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def join(self, selection: Selection, last_id: str | None) -> Joined:
        """Return a new client that had everything up to the event of `last_id`.

        Raises NoChangesError, and PyMongoError or TimeoutError if MongoDB does not answer.
        """
        await self._feed.start()
        if last_id is None:
            async with self._feed.delivering:
                client = self._add(selection, self._feed.position)
                return Joined(client, client.position)
        try:
            return await self._resume(selection, Position.parse(last_id))
        except ValueError:
            reason = "the Last-Event-ID is not of an event of this server"
        except LostError as error:
            reason = str(error)
        async with self._feed.delivering:
            client = self._add(selection, self._feed.position)
            client.give_up(reason)
            return Joined(client, client.position)

    async def _resume(self, selection: Selection, since: Position) -> Joined:
        feed = self._feed
        if since.time > feed.position.time:
            now = await changes.read_now(feed.db)
            if since.time > now.time:
                raise LostError("the Last-Event-ID is of another database")
        read_to, missed = since, dict[WindowKey, Position]()
        wants = cache(matcher(selection.facilities, selection.granted))
        while True:
            async with feed.delivering:
                if feed.recent.covers(read_to):
                    size = _size(selection, len(feed.recent))
                    missed |= await aside(size, feed.recent.windows_after, read_to, wants)
                    client = self._add(selection, max(since, feed.position))
                    return Joined(client, since, dict(sorted(missed.items(), key=itemgetter(1))))
            try:
                async with asyncio.timeout(CATCH_UP_SECONDS), self._turns:
                    read_to = await self._catch_up(selection, wants, read_to, missed)
            except TimeoutError as error:
                raise LostError("too many clients resume at once") from error

    async def _catch_up(
        self,
        selection: Selection,
        wants: Wants,
        since: Position,
        missed: dict[WindowKey, Position],
    ) -> Position:
        """Add what was missed by a change stream of one's own; return up to which place."""
        async with changes.open_changes(self._feed.db, since) as stream:
            while not self._feed.recent.covers(stream.position):
                found = (await stream.next()).changes
                missed |= await aside(_size(selection, len(found)), _wanted, found, wants)
                if len(missed) > MAX_WINDOWS:
                    raise LostError(f"more than {MAX_WINDOWS} windows have changed since then")
            return stream.position

    def _add(self, selection: Selection, position: Position) -> Client:
        client = Client(selection, position)
        self._feed.audience.join(client)
        return client


def _size(selection: Selection, changes: int) -> int:
    """Return of how many bytes of a message the work is to choose among so many changes."""
    patterns = len(selection.facilities) + len(selection.granted)
    return changes * (CHANGE_BYTES + PATTERN_BYTES * patterns)


def _wanted(found: Iterable[Change], wants: Wants) -> dict[WindowKey, Position]:
    """Return the windows of wanted facilities, each with its last change."""
    keys = ((window_of(change), change.position) for change in found)
    return {key: position for key, position in keys if key is not None and wants(key.facility)}
