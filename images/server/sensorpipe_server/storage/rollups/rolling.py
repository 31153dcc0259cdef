"""Keeps the rollups of all facilities up to date, round after round.

One server of the group does so for all, in a share of its time; several at once do no harm.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from itertools import groupby
from typing import Final, NamedTuple

import pymongo
from pymongo.errors import PyMongoError

from sensorpipe_server.storage.documents import Document, WindowKey, read_id, unix_ms
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import READ_SECONDS, Database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.queries import facility_of, of_each_facility
from sensorpipe_server.storage.rollups.edge import Edge
from sensorpipe_server.storage.rollups.levels import FIVE_MINUTES, HOUR
from sensorpipe_server.storage.rollups.removal import Keep, Removal, forever
from sensorpipe_server.storage.rollups.state import Marker, RollupState, State
from sensorpipe_server.storage.rollups.writer import Renewal, RollupWriter

ROUND_SECONDS: Final = 150.0
"""Seconds from one round to the next, half a bucket. A round queries each facility once; until it
comes, windows are read in place of rollups. If many windows arrive, it comes sooner."""

MARKED_SECONDS: Final = 30.0
"""Seconds from one query for markers to the next."""

REST_SECONDS: Final = 1.0
"""Shortest pause in seconds after a round or a query for markers."""

MARGIN_MS: Final = 120_000
"""Milliseconds, beside the lateness, before a facility's newest window up to which rollups are
computed: earlier windows hardly change any more."""

SILENT_MS: Final = 3_600_000
"""Milliseconds without new windows after which a facility's rollups are computed to its end."""

MAX_STEP_MS: Final = 6 * HOUR.length_ms
"""Longest range in milliseconds that is computed before `done_ms` is raised."""

MAX_STEPS: Final = 50
"""Largest number of facilities whose `announced_ms` and `done_ms` are raised together."""

MAX_MARKERS: Final = 500
"""Largest number of markers that are read at a time."""

MAX_SKIPPED: Final = 1000
"""Largest number of unreadable documents that are skipped at the end of a facility."""

_RECEIVED_AT: Final = {"received_at": 1}

log = logging.getLogger(__name__)


class NewestWindow(NamedTuple):
    """The newest window of a facility."""

    window: WindowKey
    received_ms: int
    """When its partial with the highest `_id` was stored, in unix milliseconds."""


class _Step(NamedTuple):
    """The next range of a facility to compute, in unix milliseconds."""

    facility: str
    done_ms: int
    to_ms: int


class Rolling:
    """Computes rollups while this server leads its group."""

    def __init__(
        self,
        db: Database,
        leads: Callable[[], bool],
        lateness_ms: int = 2000,
        *,
        clock: Callable[[], float] = time.time,
        pace: Pace | None = None,
        keep: Keep = forever,
        edge: Edge | None = None,
    ) -> None:
        self._windows = database.on_primary(database.windows(db))
        self._state = RollupState(db)
        self._pace = pace or Pace()
        self._writer = RollupWriter(db, self._pace)
        self._renewal = Renewal(self._state, self._writer, self._pace)
        self._removal = Removal(db, keep, self._state, self._renewal, self._pace)
        self._leads = leads
        self._edge = edge or Edge(0)
        self._margin_ms = MARGIN_MS + lateness_ms
        self._clock = clock

    async def run(self) -> None:
        """Compute until cancelled."""
        due = 0.0
        while True:
            began = time.monotonic()
            try:
                if not self._leads():
                    due = 0.0
                    self._edge.begin()  # another server includes these windows
                elif began >= due or self._edge.is_long():
                    await self.round()
                    due = began + ROUND_SECONDS
                else:
                    self._pace.begin()
                    await self._renew_marked()
            except PyMongoError as error:
                log.warning("rollups are waiting for MongoDB", extra={"error": str(error)[:500]})
            except Exception:  # windows are read in their place
                log.exception("rollups could not be computed; trying again")
            await self._until(began + MARKED_SECONDS)

    async def round(self) -> None:
        """Compute complete buckets and recompute marked ones; remove what is too old."""
        self._pace.begin()
        self._edge.begin()
        states, newest_ms = await self._state.read(), 0
        steps: list[_Step] = []
        async with aclosing(self._newest()) as all_newest:
            async for newest in all_newest:
                newest_ms = max(newest_ms, newest.window.end_ms)
                name, to_ms = newest.window.facility, self._end_ms(newest)
                done_ms = states.get(name, State()).done_ms
                if to_ms > done_ms:
                    steps.append(_Step(name, done_ms, to_ms))
                if len(steps) >= MAX_STEPS:
                    await self._advance(steps)
                    steps = []
                await self._pace.rest()
        await self._advance(steps)
        await self._renew_marked()
        await self._remove(newest_ms)

    async def _until(self, moment: float) -> None:
        """Wait until a moment, or until many windows have no rollups; REST_SECONDS at least."""
        await asyncio.sleep(REST_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(moment - time.monotonic()):
                await self._edge.until_long()

    async def _newest(self) -> AsyncGenerator[NewestWindow]:
        """Yield the newest window of each facility."""
        async with aclosing(
            of_each_facility(self._windows, _RECEIVED_AT, newest=True)
        ) as documents:
            async for document in documents:
                newest = _newest_among([document]) or await self._newest_before(document)
                if newest is not None:
                    yield newest

    async def _newest_before(self, last: Document) -> NewestWindow | None:
        """Return the newest window of a facility whose last document is unreadable."""
        log.warning(
            "a document does not have the _id of a partial", extra={"id": str(last["_id"])[:200]}
        )
        bounds = {"$gt": f"{facility_of(last)}/", "$lt": last["_id"]}
        before = self._windows.find(
            {"_id": bounds}, _RECEIVED_AT, sort=[("_id", -1)], limit=MAX_SKIPPED
        )
        with pymongo.timeout(READ_SECONDS):
            return _newest_among(await database.await_answer(before.to_list()))

    async def _advance(self, steps: Sequence[_Step]) -> None:
        """Compute the rollups of some facilities, and raise `announced_ms` and `done_ms`."""
        if not steps:
            return
        await self._state.announce({each.facility: each.to_ms for each in steps})
        done: dict[str, int] = {}
        for each in steps:
            with _of_one(each.facility):
                await self._compute(each)
                done[each.facility] = each.to_ms
            await self._pace.rest()
        await self._state.finish(done)

    async def _compute(self, step: _Step) -> None:
        """Compute one facility's rollups; raise `done_ms` repeatedly during a long step."""
        name, done_ms, to_ms = step
        while to_ms - done_ms > MAX_STEP_MS:
            first_ms = await self._writer.first_start(name, done_ms, to_ms)
            if first_ms is None:
                break
            end_ms = min(first_ms - first_ms % MAX_STEP_MS + MAX_STEP_MS, to_ms)
            await self._writer.add_up(name, done_ms, end_ms)
            await self._state.finish({name: end_ms})
            done_ms = end_ms
        if done_ms < to_ms:
            await self._writer.add_up(name, done_ms, to_ms)

    def _end_ms(self, newest: NewestWindow) -> int:
        """Return the moment in unix milliseconds up to which a facility's rollups are computed.

        It follows from the newest window of the facility; only for a silent one the clock decides.
        """
        start_ms = newest.window.start_ms
        if self._clock() * 1000 - newest.received_ms > SILENT_MS:
            return FIVE_MINUTES.start(start_ms) + FIVE_MINUTES.length_ms
        return max(0, FIVE_MINUTES.start(start_ms - self._margin_ms))

    async def _renew_marked(self) -> None:
        after: Marker | None = None
        while markers := await self._state.next_markers(after, MAX_MARKERS):
            after = markers[-1]
            for name, some in groupby(markers, key=lambda marker: marker.facility):
                with _of_one(name):
                    await self._renewal.renew(name, list(some))

    async def _remove(self, newest_ms: int) -> None:
        """Remove what is too old; a clock ahead of all windows makes nothing older."""
        now_ms = min(int(self._clock() * 1000), newest_ms)
        for name, state in (await self._state.read()).items():
            with _of_one(name):
                await self._removal.remove(name, state, now_ms)
            await self._pace.rest()


def _newest_among(documents: Iterable[Document]) -> NewestWindow | None:
    """Return the window of the first readable document; None if none is readable."""
    for each in documents:
        with suppress(AttributeError, KeyError, TypeError, ValueError):
            return NewestWindow(read_id(each["_id"]).window, unix_ms(each["received_at"]))
    return None


@contextmanager
def _of_one(facility: str) -> Iterator[None]:
    """Log an error of one facility, so that it does not stop the others."""
    try:
        yield
    except PyMongoError:
        raise
    except Exception:
        log.exception("rollups of a facility failed", extra={"facility": facility})
