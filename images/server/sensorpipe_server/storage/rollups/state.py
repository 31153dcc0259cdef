"""Up to where rollups go, and what came behind that: without a gap, and without a clock.

    rollup_state  {_id: FACILITY, announced_ms, done_ms, closed_ms,
                   late: how often, removed: {windows: ms, 5m: ms, …}, swept: {windows: ms, …}}
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

Who removes a level of a facility before some moment takes these steps:

1. raise `closed_ms` to it;
2. read `late`, then the markers before that moment, and compute again until there is none;
3. raise `removed`, in one change that fails where `late` is another one by now: then go back
   to 2, a few times, and leave the rest to the next round. From this change on readers ignore
   markers before it, and look at no finer level;
4. seal the rollups of the level above: `sealed`, and `rev` raised, so that nobody replaces them;
5. delete the level, and raise `swept`.

Who stores partials takes two more steps after the second one of the second list:

3. read `closed_ms` and, only for windows that start before their facility's, raise `late`;
4. read `removed`: a partial whose windows are not removed is counted.

For either its writer read `closed_ms` before it was raised: then the marker was there before, and
step 2 of the removal sees it. Or it raised `late`, and `removed` was not raised yet: then the one
who raises it has read that `late`, hence the markers after that. So at the moment that `removed`
is raised, the rollups above hold all that is counted, and may be sealed at once, by anybody.

A partial whose windows are removed may be stored and in rollups, or stored only, or neither: its
writer died, or stood still between two steps. One document decides: the rollup, sealed, of its
bucket at the finest level that is left. Who has the partial seals it, an empty one where there is
none, reads it, and then reads `removed` once more. If that level is removed by now, the next one
decides. Else a partial that is in it is counted, and one that is not is a dead letter for good:
nobody can add it any more. Its document is deleted, which nobody reads there. A bucket that is
too large for a document is not deleted on the level below, which decides in its place; where
that are the windows, the partial is stored as any other. Before it says that a partial is
counted, the writer marks the bucket if a coarser rollup does not hold it, as whoever computed
the finer one may have died in between; then `late` and `removed` tell as above whether that is in
time. A write is repeated once for each level that is removed while it is under way, and once
where a rollup appears just as it is sealed.

Rollups know readings by `src` and `seq` only. So of a partial that has others nobody can tell
whether it was counted before its windows were removed: it becomes a dead letter in any case.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pymongo
from bson import ObjectId
from pymongo import UpdateOne

from sensorpipe_server.storage.documents import END_OF_TIME_MS, Document
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import READ_SECONDS, WRITE_SECONDS, Database
from sensorpipe_server.storage.rollups.levels import FIVE_MINUTES, KEPT

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
    """Whoever marks a window that starts before it raises `late` after that."""
    late: int = 0
    """How often windows that start before `closed_ms` were marked."""

    def finest(self, start_ms: int) -> str | None:
        """Return the finest level, or WINDOWS, that is kept of a start; None if none is."""
        kept = (level for level in KEPT if start_ms >= self.removed.get(level, 0))
        return next(kept, None)


class Marker(NamedTuple):
    """A bucket of 5 minutes to compute again."""

    facility: str
    start_ms: int
    mark: ObjectId
    """Another one each time it is marked, also after it was deleted."""


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

    async def mark(self, starts: Iterable[Start]) -> tuple[int, dict[str, State]]:
        """Mark what was computed without these windows, which are durable.

        Returns what `announced` says, and by facility the state after it was marked. What the
        state says is removed was removed before these windows were counted for certain.
        """
        announced_ms = await self.announced()
        behind = {start for start in starts if start[1] < announced_ms}
        if not behind:
            return announced_ms, {}
        states = await self.read({name for name, _ in behind})
        late = {
            (name, start_ms)
            for name, start_ms in behind
            if start_ms < states.get(name, State()).announced_ms
        }
        return announced_ms, await self.mark_all(late) if late else {}

    async def mark_all(self, starts: Collection[Start]) -> dict[str, State]:
        """Mark the buckets of some windows; return by facility the state after that.

        Of each window, what is finest there is not removed before these markers are looked at.
        """
        names = {_marker_id(name, FIVE_MINUTES.start(start_ms)) for name, start_ms in starts}
        mark = {"$set": {"mark": ObjectId()}}
        writes = [UpdateOne({"_id": one}, mark, upsert=True) for one in sorted(names)]
        with pymongo.timeout(WRITE_SECONDS):
            await self._dirty.bulk_write(writes, ordered=False)
        states = await self.read({name for name, _ in starts})
        closed = {
            name for name, start_ms in starts if start_ms < states.get(name, State()).closed_ms
        }
        if not closed:
            return states
        more = [UpdateOne({"_id": name}, {"$inc": {"late": 1}}) for name in sorted(closed)]
        with pymongo.timeout(WRITE_SECONDS):
            await self._state.bulk_write(more, ordered=False)
        return await self.read({name for name, _ in starts})

    async def announce(self, moments: Mapping[str, int]) -> None:
        """Say by facility that windows that start before a moment are going to be read."""
        # everyone's first: who sees a facility's has seen that one
        await self._raise("announced_ms", {EVERYONE: max(moments.values(), default=0), **moments})

    async def finish(self, moments: Mapping[str, int]) -> None:
        """Say by facility that rollups may be read in place of windows that start before."""
        await self._raise("done_ms", moments)

    async def close(self, facility: str, moment_ms: int) -> None:
        """Say that something before a moment is going to be removed: see `late`."""
        await self._raise("closed_ms", {facility: moment_ms})

    async def remove(self, facility: str, level: str, moment_ms: int, late: int) -> bool:
        """Say that what a level has before a moment is removed for good, unless `late` was raised.

        Returns whether that was said.
        """
        as_it_was = {"_id": facility, "late": late or None}  # MongoDB: null, or not there
        with pymongo.timeout(WRITE_SECONDS):
            done = await self._state.update_one(
                as_it_was, {"$max": {f"removed.{level}": moment_ms}}
            )
        return done.matched_count > 0

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

    async def _markers(self, condition: Document, limit: int = 0) -> list[Marker]:
        marked = self._dirty.find(condition, sort=[("_id", 1)], limit=limit)
        with pymongo.timeout(READ_SECONDS):
            found = await database.answered(marked.to_list())
        return [_marker(each) for each in found]


def starts_of(markers: Sequence[Marker]) -> list[int]:
    """Return the starts of marked buckets of one facility, as `rollups.cover` takes them."""
    return [marker.start_ms for marker in markers]


def _state(document: Mapping[str, Any]) -> State:
    return State(
        document.get("announced_ms", 0),
        document.get("done_ms", 0),
        document.get("removed", {}),
        document.get("swept", {}),
        document.get("closed_ms", 0),
        document.get("late", 0),
    )


def _marker(document: Mapping[str, Any]) -> Marker:
    facility, _, start = document["_id"].rpartition("/")
    return Marker(facility, int(start), document["mark"])


def _marker_id(facility: str, start_ms: int) -> str:
    return f"{facility}/{start_ms:015d}"
