"""Writes partials to MongoDB: each is inserted once, as a document of its own.

A write can be repeated at any time and by any server: a partial that is stored already is
refused by its unique `_id`, which counts as a redelivery. MongoDB answers only once a majority of
its servers has everything up to this moment, even if it refuses all.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pymongo.errors import BulkWriteError

from sensorpipe_server.storage.facilities import Facilities
from sensorpipe_server.storage.mongodb import database, refusal
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.pending import Pending, RefusedRecord
from sensorpipe_server.storage.rollups.edge import Edge

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcome:
    """Result of a write: how many partials were inserted or redelivered, and which refused."""

    inserted: int = 0
    redelivered: int = 0
    refused: list[RefusedRecord] = field(default_factory=list)


class PastRanges(Protocol):
    """Knows the time ranges whose rollups were computed, or whose windows were removed."""

    async def refuse(
        self, partials: Sequence[Pending]
    ) -> tuple[list[RefusedRecord], list[Pending]]:
        """Return the partials to refuse, and those that are counted already.

        Both are of time ranges whose windows were removed, and neither is stored: the first
        become dead letters, the second are redeliveries. Called before the other partials are
        inserted. Raises PyMongoError if the write is to be repeated.
        """

    async def mark(self, partials: Sequence[Pending]) -> None:
        """Mark rollups that were computed without these partials, so that they are recomputed.

        Called when all of them, redelivered ones included, are durable and their offsets are
        not committed yet. Raises PyMongoError if the whole write is to be repeated.
        """


class Store:
    """Writes batches of partials; several stores may write to one database."""

    def __init__(
        self, db: Database, past: PastRanges | None = None, edge: Edge | None = None
    ) -> None:
        self._partials = database.windows(db)
        self._facilities = Facilities(database.facilities(db))
        self._past = past
        self._edge = edge

    async def write(self, partials: Sequence[Pending], *, refused_seconds: float = 0.0) -> Outcome:
        """Store all partials, or raise PyMongoError: then any part of them may be stored.

        `refused_seconds` is the time for which MongoDB has refused some of them. Partials that can
        never be stored are refused in the outcome.
        """
        outcome = Outcome()
        try:
            if self._past is not None:
                refused, redelivered = await self._past.refuse(partials)
                outcome.refused += refused
                outcome.redelivered += len(redelivered)
                partials = await self._without(partials, refused, redelivered)
            await self._facilities.note(partials, refused_seconds=refused_seconds)
            await self._insert_each(partials, refused_seconds, outcome)
            if self._past is not None:
                await self._past.mark(partials)
        except BaseException:
            self._facilities.forget()
            raise
        if self._edge is not None:
            self._edge.add(partials)
        await self._facilities.note_times(partials)
        return outcome

    async def finish_noting(self) -> None:
        """Write postponed first and last windows of facilities; called when no partials arrive."""
        await self._facilities.write_times()

    async def _without(
        self,
        partials: Sequence[Pending],
        refused: Sequence[RefusedRecord],
        redelivered: Sequence[Pending],
    ) -> Sequence[Pending]:
        """Return the partials that are neither refused nor redelivered; delete these if stored.

        An earlier attempt may have inserted them before their range was removed, and pages of
        windows would show them.
        """
        out = {id(each.record) for some in (refused, redelivered) for each in some}
        names = [each.document["_id"] for each in partials if id(each.record) in out]
        if names:
            await self._partials.delete_many({"_id": {"$in": names}})
        return [each for each in partials if id(each.record) not in out]

    async def _insert_each(
        self, partials: Sequence[Pending], refused_seconds: float, outcome: Outcome
    ) -> None:
        """Insert partials; if one of them makes the whole write fail, find and refuse it."""
        if not partials:
            return
        try:
            await self._insert(partials, refused_seconds, outcome)
        except Exception as error:
            if not refusal.is_about_documents(error):
                raise
            if len(partials) > 1:
                half = len(partials) // 2
                await self._insert_each(partials[:half], refused_seconds, outcome)
                await self._insert_each(partials[half:], refused_seconds, outcome)
                return
            (partial,) = partials
            log.exception("a partial cannot be stored", extra={"partial": partial.document["_id"]})
            outcome.refused.append(RefusedRecord(partial.record, "cannot_store", repr(error)))

    async def _insert(
        self, partials: Sequence[Pending], refused_seconds: float, outcome: Outcome
    ) -> None:
        problems: Sequence[refusal.WriteProblem] = ()
        try:
            await self._partials.insert_many([each.document for each in partials], ordered=False)
        except BulkWriteError as error:
            problems = refusal.permanent(error, refused_seconds)
        outcome.inserted += len(partials) - len(problems)
        for problem in problems:
            if refusal.is_duplicate_id(problem):
                outcome.redelivered += 1
            else:
                record, detail = partials[problem["index"]].record, refusal.describe(problem)
                outcome.refused.append(RefusedRecord(record, "refused_by_database", detail))
