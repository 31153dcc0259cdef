"""Writing windows to MongoDB: insert first, merge what the unique `_id` refuses.

Every write is one atomic change of one document and can be repeated at any time: a window
that is there already goes down the merge path, and there the (epoch, number) of each
partial says whether it is in the document already. Merging is compare and swap: read,
merge here, replace if `rev` is still what was read; whoever loses that race reads again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS, RawBSONDocument
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from sensorpipe_server import database
from sensorpipe_server.database import Database
from sensorpipe_server.facilities import Facilities
from sensorpipe_server.spliced import id_of
from sensorpipe_server.window import Absorbed, Refused, Window, absorb

CHUNK: Final = 250
"""Windows merged at a time; while MongoDB writes one chunk, the next is merged here."""

CHUNKS_AT_ONCE: Final = 3

_DUPLICATE_KEY: Final = 11000
_REFUSALS: Final = frozenset({2, 121, 10334, 17280, 17419})
"""BadValue, DocumentValidationFailure, and three of a document or key that is too large."""


@dataclass(slots=True)
class Outcome:
    """What became of the partials of a write."""

    inserted: int = 0
    merged: int = 0
    redelivered: int = 0
    refused: list[Refused] = field(default_factory=list)


class Store:
    """Writes batches of windows; several stores may write to one database."""

    def __init__(self, db: Database) -> None:
        self._windows = database.windows(db)
        self._reading = self._windows.with_options(codec_options=DEFAULT_RAW_BSON_OPTIONS)
        self._facilities = Facilities(database.facilities(db))
        self.looks_first = False
        """Whether most windows are expected to be there already, so that none is encoded yet."""

    async def write(self, windows: Mapping[str, Window]) -> Outcome:
        """Store all partials, or raise PyMongoError: then any part of them may be stored.

        Where most windows of the last batch were known, looking them up before inserting
        is cheaper than a refused insert.
        """
        outcome = Outcome()
        try:
            await self._facilities.note(windows.values())
            known = list(windows) if self.looks_first else await self._insert(windows, outcome)
            missing = await self._merge(windows, known, outcome)
            self.looks_first = 2 * (len(known) - len(missing)) > len(windows)
            while missing:
                again = {key: windows[key] for key in missing}
                missing = await self._merge(windows, await self._insert(again, outcome), outcome)
        except BaseException:
            self._facilities.forget()
            raise
        return outcome

    async def _insert(self, windows: Mapping[str, Window], outcome: Outcome) -> list[str]:
        """Insert what is new; return the keys of those that are there already."""
        for window in windows.values():
            if window.raw is None:
                outcome.refused += window.encode()
        keys = [key for key, window in windows.items() if window.raw is not None]
        if not keys:
            return []
        errors: Sequence[Mapping[str, Any]] = ()
        try:
            await self._windows.insert_many(
                [cast("RawBSONDocument", windows[key].raw) for key in keys], ordered=False
            )
        except BulkWriteError as error:
            errors = _permanent(error)
        known = []
        outcome.inserted += sum(len(windows[key].parts) for key in keys)
        for problem in errors:
            key = keys[problem["index"]]
            outcome.inserted -= len(windows[key].parts)
            if problem["code"] == _DUPLICATE_KEY and problem.get("keyPattern") == {"_id": 1}:
                known.append(key)
            else:
                outcome.refused += _refuse(windows[key], problem)
        return known

    async def _merge(
        self, windows: Mapping[str, Window], keys: Sequence[str], outcome: Outcome
    ) -> list[str]:
        """Merge into stored windows; return the keys of those that are not there after all."""
        if not keys:
            return []
        turns = asyncio.Semaphore(CHUNKS_AT_ONCE)

        async def chunk(some: Sequence[str]) -> list[str]:
            async with turns:
                return await self._merge_chunk({key: windows[key] for key in some}, outcome)

        chunks = [chunk(keys[at : at + CHUNK]) for at in range(0, len(keys), CHUNK)]
        results = await asyncio.gather(*chunks, return_exceptions=True)
        missing: list[str] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            missing += result
        return missing

    async def _merge_chunk(self, windows: Mapping[str, Window], outcome: Outcome) -> list[str]:
        """Read, merge and replace until every guard held."""
        results: dict[str, Absorbed] = {}
        missing: list[str] = []
        waiting = list(windows)
        while waiting:
            stored = await self._find(waiting)
            missing += [key for key in waiting if key not in stored]
            latest = {key: absorb(held, windows[key].parts) for key, held in stored.items()}
            for key, result in latest.items():
                results.setdefault(key, result).refused = result.refused
            changed = {key: result for key, result in latest.items() if result.raw is not None}
            waiting = await self._replace(windows, changed, outcome)
        for result in results.values():
            outcome.merged += result.merged
            outcome.redelivered += result.redelivered
            outcome.refused += result.refused
        return missing

    async def _find(self, keys: list[str]) -> dict[str, bytes]:
        """Return the stored windows, encoded."""
        cursor = self._reading.find({"_id": {"$in": keys}}, batch_size=len(keys) + 1)
        documents = [bytes(found.raw) for found in await cursor.to_list()]
        return {id_of(found): found for found in documents}

    async def _replace(
        self,
        windows: Mapping[str, Window],
        changed: Mapping[str, Absorbed],
        outcome: Outcome,
    ) -> list[str]:
        """Replace what changed; return the keys to read again if any guard did not hold."""
        if not changed:
            return []
        keys = list(changed)
        writes = [_guarded(key, changed[key].rev, changed[key].raw) for key in keys]
        refused: list[str] = []
        try:
            written = (await self._windows.bulk_write(writes, ordered=False)).modified_count
        except BulkWriteError as error:
            written = error.details["nModified"]
            for problem in _permanent(error):
                refused.append(keys[problem["index"]])
                changed[refused[-1]].merged = 0
                outcome.refused += _refuse(windows[refused[-1]], problem)
        if written + len(refused) >= len(keys):
            return []
        return [key for key in keys if key not in refused]


def _guarded(key: str, rev: int, raw: RawBSONDocument | None) -> UpdateOne:
    """Return a replacement that changes nothing where `rev` has changed.

    The guard is in the update, not in the query: a query by `_id` alone takes MongoDB's
    short cut past the planner, which halves the cost.
    """
    held = {"$eq": ["$rev", rev]}
    return UpdateOne(
        {"_id": key}, [{"$replaceWith": {"$cond": [held, {"$literal": raw}, "$$ROOT"]}}]
    )


def _permanent(error: BulkWriteError) -> Sequence[Mapping[str, Any]]:
    """Return the write errors if repeating cannot help with any of them, or raise the error."""
    errors: Sequence[Mapping[str, Any]] = error.details["writeErrors"]
    lasting = all(e["code"] == _DUPLICATE_KEY or e["code"] in _REFUSALS for e in errors)
    if error.details["writeConcernErrors"] or not lasting:
        raise error
    return errors


def _refuse(window: Window, error: Mapping[str, Any]) -> list[Refused]:
    detail = f"MongoDB: {error['code']}: {error.get('errmsg', '')}"
    return [Refused(part.record, "refused_by_database", detail) for part in window.parts]
