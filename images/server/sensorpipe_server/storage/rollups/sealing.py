"""Seals rollups: a sealed rollup is never replaced, so what it holds is final."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import pymongo
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError
from sensorpipe_schema.compacted_reading_pb2 import Rollup

from sensorpipe_server.storage.documents import Document
from sensorpipe_server.storage.mongodb import refusal
from sensorpipe_server.storage.mongodb.database import WRITE_SECONDS, Collection
from sensorpipe_server.storage.rollups.levels import (
    Level,
    rollup_document,
    rollup_id,
    rollup_range,
)

_SEAL: Final[Document] = {"$set": {"sealed": True}, "$inc": {"rev": 1}}
"""The update that seals a rollup; its new `rev` makes replacements in progress fail."""


class RollupKey(NamedTuple):
    """Names the rollup of one bucket."""

    facility: str
    level: Level
    start_ms: int

    @property
    def name(self) -> str:
        """The `_id` of its rollup."""
        return rollup_id(*self)


async def seal_range(
    rollups: Collection, facility: str, level: Level, from_ms: int, to_ms: int
) -> None:
    """Seal all stored rollups of a level in a range."""
    buckets = rollup_range(facility, level, from_ms, to_ms)
    with pymongo.timeout(WRITE_SECONDS):
        await rollups.update_many({"_id": buckets, "sealed": {"$exists": False}}, _SEAL)


async def seal(rollups: Collection, buckets: Iterable[RollupKey]) -> None:
    """Seal the rollup of each bucket; store an empty, sealed one where there is none.

    A rollup that another server stores at the same moment may remain unsealed.
    """
    writes = [
        UpdateOne({"_id": each.name, "sealed": {"$exists": False}}, _sealed(each), upsert=True)
        for each in buckets
    ]
    try:
        with pymongo.timeout(WRITE_SECONDS):
            await rollups.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        problems = error.details["writeErrors"]
        if error.details["writeConcernErrors"] or not all(map(refusal.is_duplicate_id, problems)):
            raise


def _sealed(bucket: RollupKey) -> Document:
    """Return the update that seals a bucket."""
    empty = rollup_document(*bucket, Rollup(), 0)
    return {**_SEAL, "$setOnInsert": {k: v for k, v in empty.items() if k not in {"_id", "rev"}}}
