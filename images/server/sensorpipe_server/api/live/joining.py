"""Has a client join where it left off: with what it has missed, or the news that this is lost."""

import asyncio
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from sensorpipe_server.api.live.client import Client
from sensorpipe_server.api.live.feed import Feed
from sensorpipe_server.api.live.recent import window_of
from sensorpipe_server.api.live.selection import Selection, matcher
from sensorpipe_server.storage.documents import WindowKey
from sensorpipe_server.storage.mongodb import changes
from sensorpipe_server.storage.mongodb.changes import LostError, Position

AT_ONCE: Final = 4
"""Largest number of clients at once that have a change stream of their own to catch up."""

CATCH_UP_SECONDS: Final = 30.0
"""Seconds for a client to catch up with the others, waiting for its turn included."""

MAX_WINDOWS: Final = 50_000
"""Largest number of missed windows that are sent; a client that missed more reads a series."""


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
        while True:
            async with feed.delivering:
                if feed.recent.covers(read_to):
                    missed |= feed.recent.windows_after(read_to, matcher(selection.facilities))
                    client = self._add(selection, max(since, feed.position))
                    return Joined(client, since, dict(sorted(missed.items(), key=itemgetter(1))))
            try:
                async with asyncio.timeout(CATCH_UP_SECONDS), self._turns:
                    read_to = await self._catch_up(selection, read_to, missed)
            except TimeoutError as error:
                raise LostError("too many clients resume at once") from error

    async def _catch_up(
        self, selection: Selection, since: Position, missed: dict[WindowKey, Position]
    ) -> Position:
        """Add what was missed by a change stream of one's own; return up to which place."""
        wants = matcher(selection.facilities)
        async with changes.open_changes(self._feed.db, since) as stream:
            while not self._feed.recent.covers(stream.position):
                for change in (await stream.next()).changes:
                    key = window_of(change)
                    if key is not None and wants(key.facility):
                        missed[key] = change.position
                if len(missed) > MAX_WINDOWS:
                    raise LostError(f"more than {MAX_WINDOWS} windows have changed since then")
            return stream.position

    def _add(self, selection: Selection, position: Position) -> Client:
        client = Client(selection, position)
        self._feed.audience.join(client)
        return client
