"""Follows the change stream while someone listens, and gives each client its events.

One stream serves all clients of the process. It names the documents that were added; their
windows are read a few times a second, so a window of many partials costs little more than one of
a single partial. They are read as they were at the last of these changes: then an event is of
exactly the changes up to its place, and a client that resumes there gets each state once.
"""

import asyncio
import logging
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from operator import itemgetter
from typing import Final

from pymongo.errors import PyMongoError
from sensorpipe_runtime.backoff import retry_backoff
from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_server.api.live import events, metrics
from sensorpipe_server.api.live.audience import Audience
from sensorpipe_server.api.live.events import Stored
from sensorpipe_server.api.live.recent import RecentChanges, window_of
from sensorpipe_server.storage.documents import WindowKey
from sensorpipe_server.storage.mongodb import changes, database
from sensorpipe_server.storage.mongodb.changes import (
    Changes,
    LostError,
    NoChangesError,
    Position,
)
from sensorpipe_server.storage.reads.pages import Row, rows
from sensorpipe_server.storage.source_seqs import Settling

PERIOD_SECONDS: Final = 0.25
"""Seconds from one look at the changes to the next, if there are not too many for one."""

HEARTBEAT_SECONDS: Final = 15.0
"""Seconds between two signs of life to clients."""

UNHEARD_SECONDS: Final = 60.0
"""Seconds without a client after which the change stream is closed."""

BACK_SECONDS: Final = 10
"""Seconds before its opening from which on changes are read: clients that connect again after a
restart then find all of theirs, and need no change stream of their own."""

WINDOWS: Final = 128
"""Largest number of windows that are read, and sent, at a time; half of what a client may have
waiting, so that a client which reads is never too slow."""

REMEMBERED: Final = 20_000
"""Number of windows whose last event is remembered, so that it is not sent again."""

log = logging.getLogger(__name__)


class Feed:
    """What all clients share; it starts with the first, and ends after the last has left."""

    def __init__(
        self, db: database.Database, settling: Settling, clock: Callable[[], float] = time.time
    ) -> None:
        self.audience = Audience()
        self.recent = RecentChanges(Position(0, 0, 0))
        self.delivering = asyncio.Lock()
        """Held while events are given to clients; with it nobody misses those of a moment."""
        self.db = db
        self._windows = database.windows(db)
        self._settling = settling
        self._clock = clock
        self._sent: OrderedDict[WindowKey, int] = OrderedDict()
        self._throttled = ThrottledLogger(log, on_change=False)
        self._running: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[None] | None = None
        self._backoff = retry_backoff()
        self._lost = ""
        """Why clients have missed something, until they are told."""
        self._heard_at = time.monotonic()
        metrics.CLIENTS.set_function(lambda: len(self.audience))

    @property
    def position(self) -> Position:
        """The place up to which everything was given to the clients."""
        return self.recent.end

    async def start(self) -> None:
        """Have the change stream open; raise NoChangesError, or PyMongoError if it cannot be."""
        self._heard_at = time.monotonic()
        if self._running is None or self._running.done():
            self._opened = asyncio.get_running_loop().create_future()
            self._running = asyncio.create_task(self._run(self._opened), name="live feed")
        if self._opened is not None:
            await asyncio.shield(self._opened)

    def stop(self) -> None:
        """Close the change stream."""
        if self._running is not None:
            self._running.cancel()

    async def read(self, keys: Sequence[WindowKey], position: Position) -> dict[WindowKey, Row]:
        """Return windows as they were at a place, or as they are if that is too long ago."""
        try:
            found = await rows(changes.at(self._windows, position), keys)
        except PyMongoError as error:
            if not changes.is_too_old(error):
                raise
            found = await rows(database.on_primary(self._windows), keys)
        return {row.key: row for row in found}

    def stored(self, row: Row, position: Position) -> Stored:
        """Return what to send of a window that last changed at a place."""
        now_ms = int(self._clock() * 1000)
        return Stored(position, row, self._settling.is_complete(row.key.end_ms, now_ms))

    async def _run(self, opened: asyncio.Future[None]) -> None:
        beating = asyncio.create_task(self._beat(), name="live heartbeat")
        try:
            while not await self._is_done(opened):  # noqa: ASYNC110  a pause, not a wait
                await asyncio.sleep(self._backoff.next())
        finally:
            opened.cancel()
            beating.cancel()

    async def _is_done(self, opened: asyncio.Future[None]) -> bool:
        """Follow the change stream; return False if it broke off, and is to be opened again."""
        try:
            if self._lost:
                await self._skip(self._lost)
            await self._follow(opened)
        except LostError as error:
            self._lost = str(error)
            return False
        except Exception as error:
            if not opened.done():
                opened.set_exception(error)
                opened.exception()  # retrieved, or asyncio would log it
                return True
            if isinstance(error, NoChangesError | PyMongoError | TimeoutError):
                shown = str(error)[:500] or type(error).__name__
                self._throttled.warning("the change stream broke off; trying again", error=shown)
            else:  # a fault here must not end the events
                log.exception("the change stream broke off; trying again")
            return False
        return True

    async def _choose_start(self) -> Position:
        """Return the place of now, or that of a while ago if MongoDB still has it."""
        now = await changes.read_now(self.db)
        before = Position.before(now.time, BACK_SECONDS)
        try:
            async with changes.open_changes(self.db, before) as stream:
                await stream.next(wait_ms=1)
        except LostError:
            return now
        return before

    def _begin(self, position: Position) -> None:
        self.recent = RecentChanges(position)
        self._sent.clear()

    async def _follow(self, opened: asyncio.Future[None]) -> None:
        """Give changes to clients until there are none for UNHEARD_SECONDS; or raise."""
        if not opened.done():
            self._begin(await self._choose_start())
        async with changes.open_changes(self.db, self.position) as stream:
            if not opened.done():
                opened.set_result(None)
            while not self._is_unheard():
                began = time.monotonic()
                found = await stream.next()
                self._backoff.reset()
                self._throttled.resolved("the change stream is open again")
                async with self.delivering:
                    await self._deliver(found)
                if len(found.changes) < changes.BATCH // 2:
                    await asyncio.sleep(max(began + PERIOD_SECONDS - time.monotonic(), 0))
            self._running = None  # who comes while this one is closed opens another

    async def _deliver(self, found: Changes) -> None:
        changed = [
            (each.position, key) for each in found.changes if (key := window_of(each)) is not None
        ]
        last = {key: position for position, key in changed if self.audience.wants(key.facility)}
        waiting = iter(sorted(last.items(), key=itemgetter(1)))
        done = 0
        while some := dict(islice(waiting, WINDOWS)):
            read = await self.read(list(some), found.position)
            await self.audience.push(self._news(read, some))
            end = max(some.values())
            at = bisect_right(changed, end, key=itemgetter(0))
            self.recent.add(changed[done:at], end)
            done = at
            await asyncio.sleep(0)  # clients send what they were given
        self.recent.add(changed[done:], found.position)

    def _news(
        self, read: dict[WindowKey, Row], changed: dict[WindowKey, Position]
    ) -> Iterable[Stored]:
        """Yield the windows that differ from what was sent of them last."""
        for key, position in changed.items():
            row = read.get(key)
            if row is None:
                continue
            state = hash(tuple(row.sensors.items()))
            if self._sent.pop(key, None) != state:
                yield self.stored(row, position)
            self._sent[key] = state
            if len(self._sent) > REMEMBERED:
                self._sent.popitem(last=False)

    async def _skip(self, reason: str) -> None:
        """Continue with what comes from now on, and tell all clients."""
        log.warning("events of windows were left out", extra={"reason": reason})
        now = await changes.read_now(self.db)
        async with self.delivering:
            self._begin(now)
            for client in self.audience:
                client.position = now
                client.give_up(reason)
        self._lost = ""

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            position = self.position
            shared = events.heartbeat(position)
            for client in list(self.audience):
                client.beat(position, shared)

    def _is_unheard(self) -> bool:
        if len(self.audience):
            self._heard_at = time.monotonic()
        return time.monotonic() - self._heard_at > UNHEARD_SECONDS
