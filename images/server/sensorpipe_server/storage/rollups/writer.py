"""Computes rollups from windows, and each level from the one below; see `rollups.state`.

Any number of servers may do so at once, and die at any moment: each rollup is computed as a whole
from what is stored, and replaces only the `rev` that was read before.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple

import pymongo

from sensorpipe_server.storage.documents import Document, id_range, start_among
from sensorpipe_server.storage.fold import fold, fold_only
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import READ_SECONDS, Collection, Database
from sensorpipe_server.storage.pace import Pace, aside
from sensorpipe_server.storage.queries import in_batches
from sensorpipe_server.storage.rollups.fold_writer import FoldWriter, replace
from sensorpipe_server.storage.rollups.levels import (
    DAY,
    FIVE_MINUTES,
    HOUR,
    LEVELS,
    MAX_ENTRIES,
    Level,
    finer,
    read_rollup,
    rollup_document,
    rollup_id,
    rollup_range,
    rollup_start,
)
from sensorpipe_server.storage.rollups.state import Marker, RollupState
from sensorpipe_server.storage.rollups.totals import Total
from sensorpipe_server.storage.rollups.windows import NO_WINDOW, StoredWindow, slices

MAX_BULK: Final = 100
"""Largest number of rollups that are written at a time."""

MAX_BULK_BYTES: Final = 8 * 1024 * 1024
"""Bytes of waiting rollups' summaries at which they are written."""


class _Rev(NamedTuple):
    rev: int
    sealed: bool


_NEW: Final = _Rev(0, sealed=False)


class RollupWriter:
    """Computes and replaces rollups, and folds the many partials of a window."""

    def __init__(self, db: Database, pace: Pace) -> None:
        self._windows = database.on_primary(database.windows(db))
        self._rollups = database.on_primary(database.rollups(db))
        self._pace = pace

    async def first_start(self, facility: str, from_ms: int, to_ms: int) -> int | None:
        """Return the start of the first window in a range, in unix milliseconds; None if none."""
        with pymongo.timeout(READ_SECONDS):
            found = await self._windows.find_one(
                {"_id": id_range(facility, from_ms, to_ms)}, {"_id": 1}, sort=[("_id", 1)]
            )
        return None if found is None else start_among(found["_id"])

    async def add_up(self, facility: str, from_ms: int, to_ms: int) -> None:
        """Write the rollups of all levels that become complete as `done_ms` rises to `to_ms`.

        `from_ms` is `done_ms` before that. Both are starts of buckets of 5 minutes.
        """
        starts = await self._write_windows(facility, from_ms, to_ms)
        for level in (HOUR, DAY):
            starts = {level.start(start) for start in (*starts, from_ms)}
            for start in sorted(starts):
                if start + level.length_ms <= to_ms:
                    await self.renew(facility, level, start)

    async def renew(self, facility: str, level: Level, start_ms: int) -> None:
        """Recompute one rollup, unless it is sealed."""
        while True:
            before = await self._rev(facility, level, start_ms)
            if before.sealed:
                return
            document = await self._compute(facility, level, start_ms)
            if document is None:
                return
            document["rev"] = before.rev + 1
            if not await replace(self._rollups, [document]):
                return

    async def _write_windows(self, facility: str, from_ms: int, to_ms: int) -> set[int]:
        """Write the rollups of 5 minutes of a range; return their starts.

        They are usually new, which is not checked first; one that exists is recomputed.
        """
        starts: set[int] = set()
        waiting: list[Document] = []
        size = 0
        async with aclosing(self._five_minutes(facility, from_ms, to_ms)) as documents:
            async for document in documents:
                start_ms = rollup_start(document)
                starts.add(start_ms)
                document["rev"] = 1
                waiting.append(document)
                size += len(document.get("summary", b""))
                if len(waiting) >= MAX_BULK or size >= MAX_BULK_BYTES:
                    await self._replace(facility, waiting)
                    waiting, size = [], 0
        await self._replace(facility, waiting)
        return starts

    async def _replace(self, facility: str, documents: Sequence[Document]) -> None:
        for at in await replace(self._rollups, documents):
            await self.renew(facility, FIVE_MINUTES, rollup_start(documents[at]))

    async def _rev(self, facility: str, level: Level, start_ms: int) -> _Rev:
        condition = {"_id": rollup_id(facility, level, start_ms)}
        with pymongo.timeout(READ_SECONDS):
            found = await self._rollups.find_one(condition, {"rev": 1, "sealed": 1})
        return _NEW if found is None else _Rev(found["rev"], found.get("sealed", False))

    async def _compute(self, facility: str, level: Level, start_ms: int) -> Document | None:
        """Return the document of a bucket, with `rev` 0; None if the bucket is empty."""
        below, end_ms = finer(level), start_ms + level.length_ms
        if below is None:
            async with aclosing(self._five_minutes(facility, start_ms, end_ms)) as documents:
                return await anext(documents, None)
        total = Total()
        condition = {"_id": rollup_range(facility, below, start_ms, end_ms)}
        fields = {"summary": 1, "too_large": 1}
        async with aclosing(_documents(self._rollups, condition, fields)) as documents:
            async for each in documents:
                rollup = read_rollup(each)
                if rollup is None or total.entries > MAX_ENTRIES:
                    return rollup_document(facility, level, start_ms, None, 0)
                await aside(len(each["summary"]), total.add_rollup, rollup)
                await self._pace.rest()
        return await _document(facility, level, start_ms, total) if total.holds_anything else None

    async def _five_minutes(
        self, facility: str, from_ms: int, to_ms: int
    ) -> AsyncGenerator[Document]:
        """Yield the rollups of 5 minutes of a range, with `rev` 0, computed from its windows."""
        start_ms, total, folds = -1, Total(), FoldWriter(self._windows)
        async with aclosing(slices(self._windows, facility, from_ms, to_ms)) as found:
            async for bucket, size, windows in found:
                if bucket != start_ms:
                    await folds.finish()
                    if total.holds_anything:
                        yield await _document(facility, FIVE_MINUTES, start_ms, total)
                    start_ms, total = bucket, Total()
                await aside(size, _add, total, windows)
                for key, documents in windows:
                    if len(documents) > 1:
                        await folds.add(key, documents)
                await self._pace.rest()
        await folds.finish()
        if total.holds_anything:
            yield await _document(facility, FIVE_MINUTES, start_ms, total)


class Renewal:
    """Recomputes marked buckets, and the coarser rollups made from them."""

    def __init__(self, state: RollupState, writer: RollupWriter, pace: Pace) -> None:
        self._state = state
        self._writer = writer
        self._pace = pace

    async def renew(self, facility: str, markers: Sequence[Marker]) -> None:
        """Recompute the marked buckets of a facility, and the coarser rollups made from them.

        Buckets that were never computed before stay marked.
        """
        done_ms = (await self._state.of(facility)).done_ms
        markers = [each for each in markers if each.start_ms < done_ms]
        starts: Iterable[int] = {each.start_ms for each in markers}
        for level in LEVELS:
            announced_ms = (await self._state.of(facility)).announced_ms
            starts = {level.start(start_ms) for start_ms in starts}
            starts = {each for each in starts if each + level.length_ms <= announced_ms}
            for start_ms in sorted(starts):
                await self._writer.renew(facility, level, start_ms)
                await self._pace.rest()
        for each in markers:
            await self._state.unmark(each)


def _add(total: Total, windows: Sequence[StoredWindow]) -> None:
    for key, documents in windows:
        if key.length_ms == NO_WINDOW:
            total.unreadable += len(documents)
            continue
        window = fold_only(key, documents[0]) if len(documents) == 1 else None
        window = window or fold(key, documents)
        if window is None:
            total.unreadable += len(documents)
        elif window.sensors and total.entries <= MAX_ENTRIES:
            total.add_window(window)


async def _document(facility: str, level: Level, start_ms: int, total: Total) -> Document:
    if total.entries > MAX_ENTRIES:
        return rollup_document(facility, level, start_ms, None, 0)

    def document() -> Document:
        return rollup_document(facility, level, start_ms, total.rollup(), 0)

    return await aside(total.entries * 20, document)


async def _documents(
    collection: Collection, condition: Document, fields: Document
) -> AsyncGenerator[Document]:
    """Yield documents in the order of `_id`, one at a time."""
    async with aclosing(in_batches(collection, condition, fields)) as batches:
        async for batch in batches:
            for document in batch:
                yield document
