"""The windows of a range for rollups: with all their documents, and some at a time."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import groupby
from typing import Final

from sensorpipe_server.storage.documents import Document, WindowKey, id_range, read_id
from sensorpipe_server.storage.mongodb.database import Collection
from sensorpipe_server.storage.queries import in_batches
from sensorpipe_server.storage.rollups.levels import FIVE_MINUTES

FETCHED: Final = 500
"""Largest number of windows' documents that are fetched at a time."""

SLICE_BYTES: Final = 64 * 1024
"""Size of the messages that are added up at a time: some 450 summaries, in 5 ms or less."""

Stored = tuple[WindowKey, list[Document]]
"""A window with all its documents."""


async def slices(
    windows: Collection, facility: str, from_ms: int, to_ms: int
) -> AsyncGenerator[tuple[int, int, list[Stored]]]:
    """Yield the windows of a range, some at a time: of which bucket, their size, and them.

    What is yielded takes some milliseconds to add, but for a window that is larger.
    """
    async with aclosing(_grouped(windows, facility, from_ms, to_ms)) as batches:
        async for batch in batches:
            for start_ms, same in groupby(batch, key=_bucket):
                some: list[Stored] = []
                size = 0
                for each in same:
                    some.append(each)
                    size += sum(len(one["partial"]) for one in each[1])
                    if size >= SLICE_BYTES:
                        yield start_ms, size, some
                        some, size = [], 0
                if some:
                    yield start_ms, size, some


async def _grouped(
    windows: Collection, facility: str, from_ms: int, to_ms: int
) -> AsyncGenerator[list[Stored]]:
    """Yield the windows of a range, in the order of `_id`, as they are fetched.

    In this order what is put together meanwhile is either read before, or with, what holds
    it: a folded document comes behind its parts.
    """
    waiting: list[Stored] = []
    condition = {"_id": id_range(facility, from_ms, to_ms)}
    fields = {"partial": 1, "received_at": 1, "itemized": 1, "rev": 1}
    fetched = in_batches(windows, condition, fields, batch_size=FETCHED)
    async with aclosing(fetched) as batches:
        async for batch in batches:
            for each in batch:
                key = _window_of(each)
                if key is None:
                    continue
                if waiting and waiting[-1][0] == key:
                    waiting[-1][1].append(each)
                else:
                    waiting.append((key, [each]))
            yield waiting[:-1]
            waiting = waiting[-1:]  # the next batch may have more of its documents
    yield waiting


def _bucket(stored: Stored) -> int:
    return FIVE_MINUTES.start(stored[0].start_ms)


def _window_of(document: Document) -> WindowKey | None:
    """Return the window of a document; None if it is none of ours, which readers report."""
    try:
        return read_id(document["_id"]).window if isinstance(document["partial"], bytes) else None
    except (AttributeError, KeyError, ValueError):
        return None
