"""Up to where rollups go, and what came behind that: without a gap, and without a clock.

    rollup_state  {_id: FACILITY, announced_ms, done_ms, closed_ms,
                   removed: {windows: ms, 5m: ms, …}, swept: {windows: ms, 5m: ms, …}}
                  {_id: "", announced_ms: not lower than that of any facility}
    rollup_dirty  {_id: FACILITY/START of 5 minutes, mark: another one each time it is marked}

Who computes rollups of a facility's windows that start before some moment takes these steps:

1. raise `announced_ms` to it, that of "" first;
2. read the windows, write the rollups of all levels that became complete;
3. raise `done_ms`: before it, rollups may be read in place of windows.

Who stores partials takes these, after they are durable and before their offset is committed:

1. read `announced_ms` of "" and, only for windows that start before it, of the facilities;
2. for windows that start before their facility's, set `mark` of their 5 minutes anew.

So no partial is left out. Either it was durable before the windows were read in step 2 of the
first list, and was read; or it became durable afterwards, hence after step 1, and then its
writer reads that announcement, and marks it. Every step is acknowledged by a majority before
the next one begins, so a change of the primary changes nothing. A writer that dies in between
has not committed the offset: the partial is delivered, and looked at, again.

A marked bucket is computed again: read `mark`; then for each level, from 5 minutes up, read
the `rev` of the rollup, read the level below, replace the rollup if `rev` is still the same,
else begin that level again; then delete the marker if `mark` is still the same. Of any two who
replace the same rollup the later one has read all that the earlier one had written on the level
below. A level whose bucket ends after `announced_ms`, read after the level below was written,
is left out: whoever computes it first has yet to announce it, and reads the level below later.
Until the marker is gone readers look below that bucket.

What is to be removed for good has `closed_ms` raised first: a partial for a closed range is
refused. Who has stored and marked one reads `closed_ms` after that: where it is not raised yet,
the marker is seen by whoever raises it; where it is, the write is repeated, and refused. Then all
marked buckets of the range are computed again. Only then, when rollups hold all that counts, is
`removed` raised: from then on readers ignore markers before it, and look at no finer level. What
was marked meanwhile is computed again, the rollups above are sealed (`sealed`, and `rev` raised,
so that nobody who read less than all can replace them), the level is deleted, and `swept` raised.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pymongo
from bson import ObjectId
from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from sensorpipe_server.storage.documents import END_OF_TIME_MS, Document
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import READ_SECONDS, WRITE_SECONDS, Database
from sensorpipe_server.storage.rollups.levels import FIVE_MINUTES

EVERYONE: Final = ""
"""The `_id` of what is announced of all facilities together; no facility has this name."""

Start = tuple[str, int]
"""A facility, and when one of its windows starts, in unix milliseconds."""


class State(NamedTuple):
    """Up to where the rollups of a facility go, each in unix milliseconds."""

    announced_ms: int = 0
    """Whoever stores a window that starts before it marks it."""
    done_ms: int = 0
    """Buckets that end at or before it may be read in place of windows."""
    removed: Mapping[str, int] = {}
    """By level, or WINDOWS: before it all is removed for good."""
    swept: Mapping[str, int] = {}
    """By level, or WINDOWS: before it nothing is left that has to be deleted."""
    closed_ms: int = 0
    """Partials of windows that start before it are refused."""


class Marker(NamedTuple):
    """A bucket of 5 minutes to compute again."""

    facility: str
    start_ms: int
    mark: ObjectId
    """Another one each time it is marked, also after it was deleted."""


class RangeRemovedError(PyMongoError):
    """A range was removed while a partial of it was stored: repeat the write, to refuse it."""


class RollupState:
    """The two collections, read from the primary only."""

    def __init__(self, db: Database) -> None:
        self._state = database.on_primary(database.rollup_state(db))
        self._dirty = database.on_primary(database.rollup_dirty(db))

    async def announced(self) -> int:
        """Return before which moment, in unix milliseconds, windows may have been read."""
        return (await self.of(EVERYONE)).announced_ms

    async def of(self, facility: str) -> State:
        """Return the state of one facility."""
        with pymongo.timeout(READ_SECONDS):
            found = await database.answered(self._state.find_one({"_id": facility}))
        return _state(found or {})

    async def read(self, facilities: Collection[str] | None = None) -> dict[str, State]:
        """Return the state of these facilities, or of all; those without any are left out.

        Who answers a query reads this first, then the markers, then rollups and windows.
        """
        names: Any = {"$gt": EVERYONE} if facilities is None else {"$in": list(facilities)}
        with pymongo.timeout(READ_SECONDS):
            found = await database.answered(self._state.find({"_id": names}).to_list())
        return {each["_id"]: _state(each) for each in found}

    async def read_removed(self, facilities: Collection[str]) -> dict[str, Mapping[str, int]]:
        """Return `removed` of those of these facilities of which anything was ever removed.

        Who answers a query reads it once more at the end: what was removed since the state was
        read may have been gone before it was looked at.
        """
        condition: Any = {"_id": {"$in": list(facilities)}, "removed": {"$exists": True}}
        with pymongo.timeout(READ_SECONDS):
            reading = self._state.find(condition, {"removed": 1}).to_list()
            found = await database.answered(reading)
        return {each["_id"]: each["removed"] for each in found}

    async def markers(
        self, facility: str, from_ms: int = 0, to_ms: int = END_OF_TIME_MS
    ) -> list[Marker]:
        """Return the marked buckets of a facility that overlap a range, in order of time."""
        first = FIVE_MINUTES.start(from_ms)
        bounds = {"$gte": _marker_id(facility, first), "$lt": _marker_id(facility, to_ms)}
        return await self._markers({"_id": bounds})

    async def next_markers(self, after: Marker | None, limit: int) -> list[Marker]:
        """Return so many marked buckets of all facilities, from behind one."""
        behind = "" if after is None else _marker_id(after.facility, after.start_ms)
        return await self._markers({"_id": {"$gt": behind}}, limit)

    async def mark(self, starts: Iterable[Start]) -> int:
        """Mark what was computed without these windows, which are durable.

        Returns what `announced` says. Raises PyMongoError to have their write repeated.
        """
        announced_ms = await self.announced()
        behind = {start for start in starts if start[1] < announced_ms}
        if not behind:
            return announced_ms
        states = await self._behind(behind)
        marks = {
            _marker_id(name, FIVE_MINUTES.start(start_ms))
            for name, start_ms in behind
            if start_ms < states.get(name, State()).announced_ms
        }
        if marks:
            anew = {"$set": {"mark": ObjectId()}}
            writes = [UpdateOne({"_id": one}, anew, upsert=True) for one in sorted(marks)]
            with pymongo.timeout(WRITE_SECONDS):
                await self._dirty.bulk_write(writes, ordered=False)
            await self._behind(behind)
        return announced_ms

    async def closed(self, starts: Collection[Start]) -> set[Start]:
        """Return those of these windows whose range is, or is going to be, removed for good."""
        states = await self.read({name for name, _ in starts})
        return _closed(states, starts)

    async def announce(self, moments: Mapping[str, int]) -> None:
        """Say by facility that windows that start before a moment are going to be read."""
        # everyone's first: who sees a facility's has seen that one
        await self._raise("announced_ms", {EVERYONE: max(moments.values(), default=0), **moments})

    async def finish(self, moments: Mapping[str, int]) -> None:
        """Say by facility that rollups may be read in place of windows that start before."""
        await self._raise("done_ms", moments)

    async def close(self, facility: str, moment_ms: int) -> None:
        """Say that partials of windows that start before a moment are refused."""
        await self._raise("closed_ms", {facility: moment_ms})

    async def remove(self, facility: str, level: str, moment_ms: int) -> None:
        """Say that what a level has before a moment is going to be removed for good."""
        await self._raise(f"removed.{level}", {facility: moment_ms})

    async def sweep(self, facility: str, level: str, moment_ms: int) -> None:
        """Say that what a level had before a moment is deleted."""
        await self._raise(f"swept.{level}", {facility: moment_ms})

    async def unmark(self, marker: Marker) -> bool:
        """Delete a marker, and return True, unless the bucket was marked once more."""
        name = _marker_id(marker.facility, marker.start_ms)
        with pymongo.timeout(WRITE_SECONDS):
            deleted = await self._dirty.delete_one({"_id": name, "mark": marker.mark})
        return deleted.deleted_count > 0

    async def _raise(self, field: str, moments: Mapping[str, int]) -> None:
        """Raise a field of some documents, one after the other."""
        if not moments:
            return
        writes = [
            UpdateOne({"_id": name}, {"$max": {field: moment_ms}}, upsert=True)
            for name, moment_ms in moments.items()
        ]
        with pymongo.timeout(WRITE_SECONDS):
            await self._state.bulk_write(writes, ordered=True)

    async def _behind(self, starts: Collection[Start]) -> dict[str, State]:
        states = await self.read({name for name, _ in starts})
        closed = _closed(states, starts)
        if closed:
            raise RangeRemovedError(f"removed while it was stored: {sorted(closed)[:10]}")
        return states

    async def _markers(self, condition: Document, limit: int = 0) -> list[Marker]:
        marked = self._dirty.find(condition, sort=[("_id", 1)], limit=limit)
        with pymongo.timeout(READ_SECONDS):
            found = await database.answered(marked.to_list())
        return [_marker(each) for each in found]


def starts_of(markers: Sequence[Marker]) -> list[int]:
    """Return the starts of marked buckets of one facility, as `rollups.cover` takes them."""
    return [marker.start_ms for marker in markers]


def _closed(states: Mapping[str, State], starts: Collection[Start]) -> set[Start]:
    return {
        (name, start_ms)
        for name, start_ms in starts
        if name in states and start_ms < states[name].closed_ms
    }


def _state(document: Mapping[str, Any]) -> State:
    return State(
        document.get("announced_ms", 0),
        document.get("done_ms", 0),
        document.get("removed", {}),
        document.get("swept", {}),
        document.get("closed_ms", 0),
    )


def _marker(document: Mapping[str, Any]) -> Marker:
    facility, _, start = document["_id"].rpartition("/")
    return Marker(facility, int(start), document["mark"])


def _marker_id(facility: str, start_ms: int) -> str:
    return f"{facility}/{start_ms:015d}"
