"""How far rollups are computed, which need recomputing, and what was removed.

None of this depends on a clock.

    rollup_state  {_id: FACILITY, announced_ms, done_ms, closed_ms, late: a count,
                   removed: {windows: ms, 5m: ms, …}, swept: {windows: ms, 5m: ms, …}}
                  {_id: "", announced_ms: not lower than that of any facility}
    rollup_dirty  {_id: FACILITY/START of 5 minutes, mark: a new one each time it is marked}

To compute the rollups of a facility's windows that start before some moment:

1. raise `announced_ms` to it, that of "" first;
2. read the windows, and write the rollups of all levels that became complete;
3. raise `done_ms`: before it, rollups may be read in place of windows.

To store partials, once they are durable and before their offset is committed:

1. read `announced_ms` of "" and, only for windows that start before it, of the facilities;
2. for windows that start before their facility's, set a new `mark` for their 5 minutes.

So no partial is left out. Either it was durable before the windows were read in step 2 of the
first list, and was read; or it became durable afterwards, hence after step 1, and then its
writer reads that announcement and marks the bucket. Every step is acknowledged by a majority
before the next one begins, so a change of the primary changes nothing. A writer that dies in
between has not committed the offset: the partial is delivered, and checked, again.

To recompute a marked bucket: read `mark`; then for each level, from 5 minutes up, read the `rev`
of the rollup, read the level below, and replace the rollup if `rev` is still the same, or else
begin that level again; then delete the marker if `mark` is still the same. Of any two servers that
replace the same rollup, the later one has read all that the earlier one had written on the level
below. A level whose bucket ends after `announced_ms`, read after the level below was written, is
left out: the server that computes it first has yet to announce it, and reads the level below
later. Until the marker is deleted, readers look below that bucket.

To remove a level of a facility before some moment:

1. raise `closed_ms` to it;
2. read `late`, then the markers before that moment, and recompute until there is none;
3. raise `removed` in one change that fails if `late` differs by now: then go back to 2, a few
   times, and leave the rest to the next round. From this change on, readers ignore markers
   before it and read no finer level;
4. seal the rollups of the level above: set `sealed` and raise `rev`, so that nobody replaces them;
5. delete the level, and raise `swept`.

To store partials, two more steps follow the second one of the second list:

3. read `closed_ms` and, only for windows that start before their facility's, raise `late`;
4. read `removed`: a partial whose windows are not removed is counted.

Either its writer read `closed_ms` before that was raised: then the marker was durable before, and
step 2 of the removal reads it. Or it raised `late` while `removed` was not raised yet: then the
server that raises `removed` has read this `late`, and the markers after that. So when `removed` is
raised, the rollups above hold all that is counted, and any server may seal them at once.

A partial whose windows are removed may be stored, counted, both or neither: its writer died, or
stalled between two steps. One document decides: the sealed rollup of its bucket at the finest
level that remains. Who has the partial seals it (an empty one if there is none), reads it, and
reads `removed` once more. If that level is removed by now, the next one decides. Otherwise a
partial that it holds is counted, and one that it lacks becomes a dead letter: no server can add it
any more. In both cases its document, which answers no longer count, is deleted. Where the rollup
is too large to store, the level below was kept and decides; if that is the windows, the partial is
stored like any other. Before a partial is reported as counted, its bucket is marked if a coarser
rollup lacks it, since the server that computed the finer one may have died in between; `late` and
`removed` then tell, as above, whether the marker was in time. A write is repeated once for each
level that is removed meanwhile, and once for each rollup that appears just as it is to be sealed.

Rollups identify readings by `src` and `seq`. Whether a partial with other readings was counted
before its windows were removed is therefore unknown: it becomes a dead letter in any case.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pymongo
from bson import ObjectId
from pymongo import UpdateOne

from sensorpipe_server.storage.documents import END_OF_TIME_MS, Document
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import READ_SECONDS, WRITE_SECONDS, Database
from sensorpipe_server.storage.rollups.levels import FIVE_MINUTES, LEVEL_NAMES

EVERYONE: Final = ""
"""The `_id` of the document for all facilities together; no facility has this name."""

Start = tuple[str, int]
"""A facility, and the start of one of its windows in unix milliseconds."""


class State(NamedTuple):
    """Up to where the rollups of a facility go, each in unix milliseconds."""

    announced_ms: int = 0
    """Windows that start before it are marked by whoever stores them."""
    done_ms: int = 0
    """Rollups of buckets that end at or before it may be read in place of windows."""
    removed: Mapping[str, int] = {}
    """By level, or WINDOWS: everything before it is removed."""
    swept: Mapping[str, int] = {}
    """By level, or WINDOWS: everything before it has been deleted."""
    closed_ms: int = 0
    """Whoever marks a window that starts before it raises `late` afterwards."""
    late: int = 0
    """Number of times that windows before `closed_ms` were marked."""

    def finest(self, start_ms: int) -> str | None:
        """Return the finest level, or WINDOWS, that remains at a moment; None if none does."""
        kept = (level for level in LEVEL_NAMES if start_ms >= self.removed.get(level, 0))
        return next(kept, None)


class Marker(NamedTuple):
    """A bucket of 5 minutes to compute again."""

    facility: str
    start_ms: int
    mark: ObjectId
    """A new one each time the bucket is marked."""


class RollupState:
    """Reads and writes `rollup_state` and `rollup_dirty`, always on the primary."""

    def __init__(self, db: Database) -> None:
        self._state = database.on_primary(database.rollup_state(db))
        self._dirty = database.on_primary(database.rollup_dirty(db))

    async def announced(self) -> int:
        """Return the `announced_ms` of all facilities together."""
        return (await self.of(EVERYONE)).announced_ms

    async def of(self, facility: str) -> State:
        """Return the state of one facility."""
        with pymongo.timeout(READ_SECONDS):
            found = await database.await_answer(self._state.find_one({"_id": facility}))
        return _state(found or {})

    async def read(self, facilities: Collection[str] | None = None) -> dict[str, State]:
        """Return the states of these facilities, or of all, by name; those without one are missing.

        To answer a query, read this first, then the markers, then rollups and windows.
        """
        names: Any = {"$gt": EVERYONE} if facilities is None else {"$in": list(facilities)}
        with pymongo.timeout(READ_SECONDS):
            found = await database.await_answer(self._state.find({"_id": names}).to_list())
        return {each["_id"]: _state(each) for each in found}

    async def read_removed(self, facilities: Collection[str]) -> dict[str, Mapping[str, int]]:
        """Return `removed` by facility; facilities without any removal are missing.

        To answer a query, read it again at the end: what was removed since the state was read
        may have been deleted before it was read.
        """
        condition: Any = {"_id": {"$in": list(facilities)}, "removed": {"$exists": True}}
        with pymongo.timeout(READ_SECONDS):
            reading = self._state.find(condition, {"removed": 1}).to_list()
            found = await database.await_answer(reading)
        return {each["_id"]: each["removed"] for each in found}

    async def markers(
        self, facility: str, from_ms: int = 0, to_ms: int = END_OF_TIME_MS
    ) -> list[Marker]:
        """Return the markers of a facility's buckets that overlap a range, in order of time."""
        first = FIVE_MINUTES.start(from_ms)
        bounds = {"$gte": _marker_id(facility, first), "$lt": _marker_id(facility, to_ms)}
        return await self._markers({"_id": bounds})

    async def next_markers(self, after: Marker | None, limit: int) -> list[Marker]:
        """Return the next markers of all facilities after one, `limit` at most; 0 for all."""
        behind = "" if after is None else _marker_id(after.facility, after.start_ms)
        return await self._markers({"_id": {"$gt": behind}}, limit)

    async def mark(self, starts: Iterable[Start]) -> tuple[int, dict[str, State]]:
        """Mark the buckets of the late ones among these windows, which are durable.

        Returns the `announced_ms` of all, and by facility the state read after marking. A late
        window that is not removed by this state is counted; see the steps of a store above.
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
        """Mark the buckets of windows; return by facility the state read after that.

        The finest level that remains of a window by this state is not removed before the marker
        has been handled.
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
        """Raise `announced_ms` by facility: windows before it are going to be read."""
        # that of "" first: a server that reads a facility's value has read that one before
        await self._raise("announced_ms", {EVERYONE: max(moments.values(), default=0), **moments})

    async def finish(self, moments: Mapping[str, int]) -> None:
        """Raise `done_ms` by facility: rollups before it may be read in place of windows."""
        await self._raise("done_ms", moments)

    async def close(self, facility: str, moment_ms: int) -> None:
        """Raise `closed_ms`: late partials before it are counted in `late`."""
        await self._raise("closed_ms", {facility: moment_ms})

    async def remove(self, facility: str, level: str, moment_ms: int, late: int) -> bool:
        """Raise `removed` of a level, unless `late` differs; return whether it was raised."""
        as_it_was = {"_id": facility, "late": late or None}  # MongoDB: null, or not there
        with pymongo.timeout(WRITE_SECONDS):
            done = await self._state.update_one(
                as_it_was, {"$max": {f"removed.{level}": moment_ms}}
            )
        return done.matched_count > 0

    async def sweep(self, facility: str, level: str, moment_ms: int) -> None:
        """Raise `swept` of a level: everything before it has been deleted."""
        await self._raise(f"swept.{level}", {facility: moment_ms})

    async def unmark(self, marker: Marker) -> bool:
        """Delete a marker; return False if the bucket was marked again meanwhile."""
        name = _marker_id(marker.facility, marker.start_ms)
        with pymongo.timeout(WRITE_SECONDS):
            deleted = await self._dirty.delete_one({"_id": name, "mark": marker.mark})
        return deleted.deleted_count > 0

    async def _raise(self, field: str, moments: Mapping[str, int]) -> None:
        """Raise a field to at least the given moments, one document after the other."""
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
            found = await database.await_answer(marked.to_list())
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
