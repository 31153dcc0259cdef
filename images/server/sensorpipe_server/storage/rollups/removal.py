"""Removes windows and rollups after their retention, level by level; see `rollups.state`.

A level is removed only where the level above holds the same: before `done_ms`, without markers.
Below a rollup that is too large to store, everything is kept until the rollups of days are
removed, since it is read in their place.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final

import pymongo
from pymongo import DeleteMany

from sensorpipe_server.storage import metrics
from sensorpipe_server.storage.documents import id_range
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import READ_SECONDS, WRITE_SECONDS, Database
from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.levels import (
    DAY,
    LEVEL_NAMES,
    LEVELS,
    WINDOWS,
    Level,
    rollup_range,
    rollup_start,
)
from sensorpipe_server.storage.rollups.sealing import seal_range
from sensorpipe_server.storage.rollups.state import RollupState, State
from sensorpipe_server.storage.rollups.writer import Renewal

ATTEMPTS: Final = 5
"""Largest number of times that a round retries to remove a level, as late partials arrive."""

MAX_BUCKETS: Final = 12
"""Largest number of buckets whose content is deleted in one command."""

AGAIN_MS: Final = DAY.length_ms
"""Milliseconds before the previous removal that are deleted again.

A server may have stored a partial there, and died before it refused and deleted it.
"""

Keep = Callable[[str], int | None]
"""Returns for how many milliseconds a level, or WINDOWS, is kept; None for forever."""


def forever(level: str) -> int | None:  # noqa: ARG001
    """Keep everything."""
    return None


class Removal:
    """Removes what is older than retention allows, one facility at a time."""

    def __init__(
        self, db: Database, keep: Keep, state: RollupState, renewal: Renewal, pace: Pace
    ) -> None:
        self._windows = database.on_primary(database.windows(db))
        self._rollups = database.on_primary(database.rollups(db))
        self._keep = keep
        self._state = state
        self._renewal = renewal
        self._pace = pace

    async def remove(self, facility: str, state: State, now_ms: int) -> None:
        """Remove what is past its retention at `now_ms`, in unix milliseconds, for one facility."""
        for name, end_ms in limits(self._keep, state.done_ms, now_ms).items():
            if end_ms > state.swept.get(name, 0):
                if not await self._begin(facility, name, end_ms):
                    return
                from_ms = max(0, state.swept.get(name, 0) - AGAIN_MS)
                await self._sweep(facility, name, from_ms, end_ms)
                await self._state.sweep(facility, name, end_ms)

    async def _begin(self, facility: str, name: str, end_ms: int) -> bool:
        """Raise `removed` of a level; return False if late partials or markers prevent it."""
        await self._state.close(facility, end_ms)
        for _ in range(ATTEMPTS):
            late = (await self._state.of(facility)).late
            if not await self._is_settled(facility, end_ms):
                return False
            if await self._state.remove(facility, name, end_ms, late):
                return True
        return False

    async def _is_settled(self, facility: str, end_ms: int) -> bool:
        """Recompute what is marked before a moment; return whether no marker is left there."""
        markers = await self._state.markers(facility, 0, end_ms)
        if not markers:
            return True
        await self._renewal.renew(facility, markers)
        return not await self._state.markers(facility, 0, end_ms)

    async def _sweep(self, facility: str, name: str, from_ms: int, end_ms: int) -> None:
        days = name == DAY.name
        above = DAY if days else LEVELS[LEVEL_NAMES.index(name)]
        if not days:
            await seal_range(self._rollups, facility, above, from_ms, end_ms)
        async with aclosing(self._buckets(facility, above, from_ms, end_ms)) as buckets:
            async for some in buckets:
                starts = [start for start, is_whole in some if is_whole or days]
                for one in LEVEL_NAMES if days else (name,):
                    await self._delete(facility, one, above, starts)
                await self._pace.rest()

    async def _buckets(
        self, facility: str, level: Level, from_ms: int, end_ms: int
    ) -> AsyncGenerator[list[tuple[int, bool]]]:
        """Yield groups of buckets: their starts, and whether they are not too large to store."""
        while from_ms < end_ms:
            condition = {"_id": rollup_range(facility, level, from_ms, end_ms)}
            with pymongo.timeout(READ_SECONDS):
                cursor = self._rollups.find(condition, {"too_large": 1}).sort("_id", 1)
                found = await cursor.limit(MAX_BUCKETS).to_list()
            if not found:
                return
            from_ms = rollup_start(found[-1]) + level.length_ms
            yield [(rollup_start(each), not each.get("too_large")) for each in found]

    async def _delete(self, facility: str, name: str, above: Level, starts: Sequence[int]) -> None:
        """Delete what a level holds in these buckets of the level above."""
        if not starts:
            return
        collection = self._windows if name == WINDOWS else self._rollups
        ranges = [_range(facility, name, start, start + above.length_ms) for start in starts]
        with pymongo.timeout(WRITE_SECONDS):
            done = await collection.bulk_write(
                [DeleteMany({"_id": one}) for one in ranges], ordered=False
            )
        metrics.REMOVED.labels(name).inc(done.deleted_count)


def limits(keep: Keep, done_ms: int, now_ms: int) -> dict[str, int]:
    """Return by level, from the finest, the moment before which all of it is to be removed.

    Each is the start of a bucket of the level above, not after `done_ms`, and not after the
    moment of a finer level.
    """
    found: dict[str, int] = {}
    least = done_ms
    for name, above in zip(LEVEL_NAMES, (*LEVELS, DAY), strict=True):
        kept_ms = keep(name)
        if kept_ms is None:
            break
        least = above.start(max(0, min(least, now_ms - kept_ms)))
        found[name] = least
    return found


def _range(facility: str, name: str, from_ms: int, to_ms: int) -> dict[str, str]:
    if name == WINDOWS:
        return id_range(facility, from_ms, to_ms)
    (level,) = (level for level in LEVELS if level.name == name)
    return rollup_range(facility, level, from_ms, to_ms)
