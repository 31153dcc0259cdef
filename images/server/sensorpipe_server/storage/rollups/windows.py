"""Reads the windows of a range for rollups, each with all its documents, in small groups."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from itertools import groupby
from typing import Final

from sensorpipe_server.storage.documents import (
    Document,
    WindowKey,
    id_range,
    read_id,
    start_among,
)
from sensorpipe_server.storage.mongodb.database import Collection
from sensorpipe_server.storage.queries import facility_of, in_batches
from sensorpipe_server.storage.rollups.levels import FIVE_MINUTES

FETCHED: Final = 500
"""Largest number of windows' documents that are fetched at a time."""

SLICE_BYTES: Final = 64 * 1024
"""Bytes of the messages that are added up at a time: some 450 summaries, in 5 ms or less."""

StoredWindow = tuple[WindowKey, list[Document]]
"""A window and all its documents; or, of length NO_WINDOW, a document that belongs to none."""

NO_WINDOW: Final = 0
"""Length in the key that stands for a document that belongs to no window."""


async def slices(
    windows: Collection, facility: str, from_ms: int, to_ms: int
) -> AsyncGenerator[tuple[int, int, list[StoredWindow]]]:
    """Yield groups of windows of a range: the start of their bucket, their bytes, the windows.

    Adding up a group takes a few milliseconds, unless a single window is larger.
    """
    async with aclosing(_grouped(windows, facility, from_ms, to_ms)) as batches:
        async for batch in batches:
            for start_ms, same in groupby(batch, key=_bucket):
                some: list[StoredWindow] = []
                size = 0
                for each in same:
                    some.append(each)
                    size += size_of(each[1])
                    if size >= SLICE_BYTES:
                        yield start_ms, size, some
                        some, size = [], 0
                if some:
                    yield start_ms, size, some


async def _grouped(
    windows: Collection, facility: str, from_ms: int, to_ms: int
) -> AsyncGenerator[list[StoredWindow]]:
    """Yield the windows of a range, in the order of `_id`, as they are fetched.

    A folded document comes after its parts in this order, so that parts that are folded
    meanwhile are read before it or together with it. A document that belongs to no window may
    lie between the documents of one, and is yielded before that window.
    """
    waiting: list[StoredWindow] = []
    condition = {"_id": id_range(facility, from_ms, to_ms)}
    fields = {"partial": 1, "received_at": 1, "itemized": 1, "rev": 1}
    fetched = in_batches(windows, condition, fields, batch_size=FETCHED)
    async with aclosing(fetched) as batches:
        async for batch in batches:
            for each in batch:
                found = (_window_of(each), [each])
                if not waiting:
                    waiting.append(found)
                elif found[0].length_ms == NO_WINDOW and _bucket(waiting[-1]) == _bucket(found):
                    waiting.insert(-1, found)
                elif waiting[-1][0] == found[0]:
                    waiting[-1][1].append(each)
                else:
                    waiting.append(found)
            yield waiting[:-1]
            waiting = waiting[-1:]  # the next batch may have more of its documents
    yield waiting


def _bucket(stored: StoredWindow) -> int:
    return FIVE_MINUTES.start(stored[0].start_ms)


def size_of(documents: Iterable[Document]) -> int:
    """Return the bytes of the messages of documents; a field that is not bytes counts as 0."""
    messages = (each.get("partial") for each in documents)
    return sum(len(each) for each in messages if isinstance(each, bytes))


def _window_of(document: Document) -> WindowKey:
    """Return the window of a document; of length NO_WINDOW if it belongs to none."""
    name = document["_id"]
    try:
        return read_id(name).window
    except ValueError:
        return WindowKey(facility_of(document), start_among(name), NO_WINDOW)
