"""Reads count, mean, m2, minimum and maximum, which stand beside each stored summary.

No summary is sent or decoded, so this takes a tenth of the time. Only the windows that have an
itemized or a folded document beside others are folded, since these share readings.
"""

from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, Generic, Protocol, TypeVar, cast

import bson
import pymongo
from sensorpipe_schema.moments import Moments

from sensorpipe_server.storage.documents import Document, DocumentKey, WindowKey
from sensorpipe_server.storage.fold import Window
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import READ_SECONDS
from sensorpipe_server.storage.pace import aside
from sensorpipe_server.storage.queries import (
    any_of,
    folded_of,
    key_of,
    report_unreadable,
    with_sensors,
)
from sensorpipe_server.storage.reads.reading import Part, Reading, Span, Statuses
from sensorpipe_server.storage.rollups.levels import Level, finer, rollup_level, rollup_start
from sensorpipe_server.storage.summaries import moments_of

FETCHED: Final = 1000
"""Largest number of documents that are fetched at a time; MongoDB sends 16 MiB at most."""

PIECE_BYTES: Final = 32 * 1024
"""Bytes of documents that are decoded at a time: some 1 ms, in which no other thread runs."""

FOLDED: Final = 100
"""Number of windows that are folded together."""


class PlainSink(Protocol):
    """Takes rollups and windows, in any order, one call at a time, mostly in a thread."""

    def take(
        self,
        facility: str,
        start_ms: int,
        sensors: Mapping[str, Mapping[str, float]],
        level: Level | None,
    ) -> None:
        """Take the sensors of a rollup; or, without a level, of a window or a part of one.

        Each has `count`, `mean`, `m2`, `min` and `max`. Raises KeyError or TypeError for others.
        """


P = TypeVar("P", bound=PlainSink)


class PlainReading(Reading, Generic[P]):
    """Reads the values of a range, with `sensors` only of these, into a sink."""

    def __init__(
        self,
        collections: tuple[database.Collection, database.Collection],
        statuses: Statuses,
        coarsest: Level | None,
        sink: P,
        sensors: Collection[str],
    ) -> None:
        super().__init__(statuses, coarsest)
        self.sink = sink
        self._windows, self._rollups = collections
        self._sensors = sensors
        self._fields = {f"sensors.{name}": 1 for name in sensors} or {"sensors": 1}

    async def read_rollups(self, conditions: Sequence[Document]) -> list[Part]:
        """Read the buckets of some ranges; return what to read on the level below instead."""
        rest: list[Part] = []
        fields = {"too_large": 1, **self._fields}
        batches = _raw_batches(self._rollups, any_of(conditions), fields)
        async with aclosing(batches):
            async for raw in batches:
                async with self.taking:
                    rest += await aside(len(raw), self._take_rollups, raw)
        return rest

    def _take_rollups(self, raw: bytes) -> list[Part]:
        rest: list[Part] = []
        for document in _documents(raw):
            facility = str(document["_id"]).partition("/")[0]
            level, start_ms = rollup_level(document), rollup_start(document)
            if document.get("too_large"):
                span = Span(facility, start_ms, start_ms + level.length_ms)
                rest.append(Part(finer(level), span))
            else:
                self.sink.take(facility, start_ms, document.get("sensors", {}), level)
        return rest

    async def read_windows(self, conditions: Sequence[Document]) -> None:
        """Read the windows of some ranges."""
        condition = with_sensors(any_of(conditions), self._sensors)
        parts = _WindowParts(self.sink)
        fields = {"itemized": 1, **self._fields}
        batches = _raw_batches(self._windows, condition, fields)
        async with aclosing(batches):
            async for raw in batches:
                async with self.taking:
                    await aside(len(raw), parts.take, raw)
                await self._fold(parts)
        async with self.taking:
            parts.finish()
        await self._fold(parts)

    async def _fold(self, parts: "_WindowParts") -> None:
        """Read and fold the windows whose documents could not be added up."""
        while keys := parts.to_fold[:FOLDED]:
            del parts.to_fold[:FOLDED]
            async with aclosing(folded_of(self._windows, keys, self._sensors)) as batches:
                async for batch in batches:
                    async with self.taking:
                        await aside(batch.size, self._take_folded, batch.windows)

    def _take_folded(self, windows: Sequence[Window]) -> None:
        for window in windows:
            sensors = {name: _values(moments_of(some)) for name, some in window.sensors.items()}
            self.sink.take(window.key.facility, window.key.start_ms, sensors, None)


class _WindowParts:
    """Puts the documents of each window together, in the order of `_id`."""

    def __init__(self, sink: PlainSink) -> None:
        self.to_fold: list[WindowKey] = []
        """The windows whose documents cannot be added up as they are."""
        self._sink = sink
        self._waiting: list[tuple[DocumentKey, Document]] = []
        """The documents of the last window, of which the next batch may have more."""

    def take(self, raw: bytes) -> None:
        """Take some documents."""
        for document in _documents(raw):
            key = key_of(document)
            if key is None:
                report_unreadable()
                continue
            if self._waiting and self._waiting[0][0].window != key.window:
                self.finish()
            self._waiting.append((key, document))

    def finish(self) -> None:
        """Pass on the last window."""
        waiting, self._waiting = self._waiting, []
        if len(waiting) == 1 and "itemized" not in waiting[0][1]:  # nearly always
            self._add(*waiting[0])
            return
        if any(document.get("itemized") for _, document in waiting) or (
            len(waiting) > 1 and any(key.is_folded for key, _ in waiting)
        ):
            self.to_fold.append(waiting[0][0].window)
            return
        if len(waiting) > 1:
            waiting.sort(key=lambda each: each[0])  # so that rounding is the same as in a fold
        for each in waiting:
            self._add(*each)

    def _add(self, key: DocumentKey, document: Document) -> None:
        facility, start_ms, _ = key.window
        try:
            self._sink.take(facility, start_ms, document["sensors"], None)
        except (AttributeError, KeyError, TypeError):
            report_unreadable()


def _values(moments: Moments) -> Mapping[str, float]:
    return {
        "count": moments.count,
        "mean": moments.mean,
        "m2": moments.m2,
        "min": moments.min,
        "max": moments.max,
    }


async def _raw_batches(
    collection: database.Collection, condition: Mapping[str, Any], fields: Mapping[str, Any]
) -> AsyncGenerator[bytes]:
    """Yield the BSON of documents in the order of `_id`, as MongoDB sends it.

    The cursor is closed with the generator, also when its task is cancelled.
    """
    cursor = collection.find_raw_batches(condition, fields, batch_size=FETCHED).sort("_id", 1)
    try:
        while True:
            with pymongo.timeout(READ_SECONDS):
                # the stubs say document, but it is the bytes of a whole batch
                raw = cast("bytes | None", await database.await_answer(anext(cursor, None)))
            if raw is None:
                return
            yield raw
    finally:
        await cursor.close()


def _documents(raw: bytes) -> Iterator[Document]:
    """Yield the documents of a batch; they are decoded a piece at a time."""
    start = 0
    while start < len(raw):
        end = start
        while end < len(raw) and end - start < PIECE_BYTES:
            end += int.from_bytes(raw[end : end + 4], "little")  # each begins with its length
        yield from bson.decode_all(raw[start:end])
        start = end
