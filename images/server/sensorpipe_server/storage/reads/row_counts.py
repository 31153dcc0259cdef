"""How many rows a series has at least, from the numbers of windows that rollups say."""

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any, Final

from sensorpipe_server.storage.documents import Document
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.queries import any_of, facility_of, in_batches
from sensorpipe_server.storage.reads.reading import SPANS
from sensorpipe_server.storage.reads.steps import floor
from sensorpipe_server.storage.rollups.levels import (
    DAY,
    HOUR,
    Level,
    Piece,
    rollup_level,
    rollup_range,
    rollup_start,
)

Pieces = Callable[[Level], Iterable[tuple[str, Piece]]]
"""Returns by facility what makes up a range, of no level coarser than one."""

STAGES: Final = (DAY, HOUR)
"""The levels that are counted one after the other, until one of them is fine enough."""


class RowCounts:
    """Says whether a series certainly has too many rows."""

    def __init__(self, db: Database) -> None:
        self._rollups = database.rollups(db)

    async def are_over(
        self,
        limit: int,
        pieces: Pieces,
        every_ms: int,
        window_ms: int,
        sensors: Collection[str] = (),
    ) -> bool:
        """Whether there are certainly more rows than `limit`, in buckets of `every_ms`.

        Windows are `window_ms` long. Those that have no rollup yet do not count, nor do rows that
        only rollups of 5 minutes could tell apart. Reading ends as soon as the answer is known.
        """
        for level in STAGES:
            bounds = _Bounds(every_ms, window_ms)
            async with aclosing(self._documents(pieces(level), sensors)) as batches:
                async for batch in batches:
                    bounds.add(batch)
                    if bounds.least > limit:
                        return True
            if bounds.most <= limit:
                break
        return False

    async def _documents(
        self, pieces: Iterable[tuple[str, Piece]], sensors: Collection[str]
    ) -> AsyncGenerator[list[Document]]:
        fields: dict[str, Any] = {f"sensors.{name}.windows": 1 for name in sensors}
        conditions = (
            {"_id": rollup_range(facility, level, start_ms, end_ms)}
            for facility, (level, start_ms, end_ms) in pieces
            if level is not None
        )
        while some := list(islice(conditions, SPANS)):
            rollups = in_batches(self._rollups, any_of(some), fields or {"sensors": 1})
            async with aclosing(rollups) as batches:
                async for batch in batches:
                    yield batch


class _Bounds:
    """How many rows some rollups have at least and at most, in order of time by facility."""

    def __init__(self, every_ms: int, window_ms: int) -> None:
        self.least = self.most = 0
        self._every_ms = every_ms
        self._windows = max(1, every_ms // window_ms)
        """Number of windows that one row may hold."""
        self._last: dict[tuple[str, str], int] = {}

    def add(self, documents: Sequence[Document]) -> None:
        """Add rollups."""
        for document in documents:
            level, start_ms = rollup_level(document), rollup_start(document)
            facility = facility_of(document)
            for name, entry in document.get("sensors", {}).items():
                if level.length_ms > self._every_ms:
                    self.least += -(-entry["windows"] // self._windows)
                    self.most += min(entry["windows"], -(-level.length_ms // self._every_ms))
                    continue
                bucket = floor(start_ms, self._every_ms)
                if self._last.get((facility, name)) != bucket:
                    self._last[facility, name] = bucket
                    self.least += 1
                    self.most += 1
