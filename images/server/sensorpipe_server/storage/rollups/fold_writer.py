"""Folds the partials of old windows in MongoDB: writes the result, then removes the partials."""

from collections.abc import Sequence
from typing import Any, Final

import pymongo
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from sensorpipe_server.storage.documents import Document, WindowKey
from sensorpipe_server.storage.mongodb.database import WRITE_SECONDS, Collection
from sensorpipe_server.storage.pace import aside
from sensorpipe_server.storage.rollups.folding import Folding, folding
from sensorpipe_server.storage.rollups.windows import size_of

MAX_BYTES: Final = 8 * 1024 * 1024
"""Bytes of waiting partials at which their folded documents are written."""

DUPLICATE_KEY: Final = 11000
"""MongoDB's error code for an `_id` that exists already."""


class FoldWriter:
    """Folds partials window by window; `finish` writes the documents that still wait."""

    def __init__(self, windows: Collection) -> None:
        self._windows = windows
        self._waiting: list[Folding] = []
        self._size = 0

    async def add(self, key: WindowKey, documents: Sequence[Document]) -> None:
        """Fold the documents of a window, if there are enough of them."""
        size = size_of(documents)
        found: Folding = await aside(size, folding, key, documents)
        if found.written is None and not found.obsolete:
            return
        self._waiting.append(found)
        self._size += size
        if self._size >= MAX_BYTES:
            await self.finish()

    async def finish(self) -> None:
        """Write the waiting documents and, once they are durable, remove the partials they hold."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        written = [each for each in waiting if each.written is not None]
        lost = await replace(self._windows, [each.written or {} for each in written])
        # another server wrote these first, and removes the partials that it has folded
        skipped = {id(written[at]) for at in lost}
        obsolete = [one for each in waiting if id(each) not in skipped for one in each.obsolete]
        if obsolete:
            with pymongo.timeout(WRITE_SECONDS):
                await self._windows.delete_many({"_id": {"$in": obsolete}})


async def replace(collection: Collection, documents: Sequence[Document]) -> list[int]:
    """Replace documents whose stored `rev` is the previous one; insert those of `rev` 1.

    Returns the positions of the documents that another server has changed.
    """
    if not documents:
        return []
    # with another stored `rev` the upsert inserts, and fails with a duplicate `_id`
    writes = [
        ReplaceOne({"_id": each["_id"], "rev": each["rev"] - 1}, each, upsert=True)
        for each in documents
    ]
    try:
        with pymongo.timeout(WRITE_SECONDS):
            await collection.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        problems: list[dict[str, Any]] = error.details["writeErrors"]
        others = [each for each in problems if each["code"] != DUPLICATE_KEY]
        if others or error.details["writeConcernErrors"]:
            raise
        return [each["index"] for each in problems]
    return []
