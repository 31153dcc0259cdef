"""Pages of a facility's windows, newest first, with count, mean and spread of each sensor.

A document has these values beside its partial, and those of a window are merged from its
documents, so no partial is read, unless a document of the window is itemized or folded.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, NamedTuple

from sensorpipe_schema.moments import Moments

from sensorpipe_server.storage.documents import (
    Document,
    DocumentKey,
    WindowKey,
    read_received_at,
)
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.queries import (
    BATCH,
    folded_of,
    in_batches,
    key_of,
    newest_keys,
    of_windows,
    report_unreadable,
)
from sensorpipe_server.storage.summaries import moments_of

_ALL_SENSORS: Final = {"partial": 0, "facility_name": 0, "window": 0}

_DOCUMENTS: Final = 4
"""Number of documents read for each window of a page in the first query."""

_MAX_BATCH: Final = 1000
"""Largest number of documents fetched at a time while windows are skipped."""


_AT_ONCE: Final = 50
"""Number of windows that are merged before other tasks run."""


class Row(NamedTuple):
    """One window of a page."""

    key: WindowKey
    received_at: datetime
    """When the youngest of its partials was stored."""
    sensors: dict[str, Moments]


async def page_keys(
    windows: database.Collection, condition: Document, offset: int, count: int
) -> list[WindowKey]:
    """Return `count` windows that match a condition, from the `offset`-th on."""
    found: list[WindowKey] = []
    seen = 0
    batch_size = min(_DOCUMENTS * (offset + count), _MAX_BATCH)
    async with aclosing(newest_keys(windows, condition, batch_size)) as keys:
        async for key in keys:
            seen += 1
            if seen > offset:
                found.append(key)
            if len(found) == count:
                break
    return found


async def rows(
    windows: database.Collection, keys: Sequence[WindowKey], sensors: Collection[str] = ()
) -> list[Row]:
    """Return these windows, given newest first, as far as they exist.

    With `sensors` only these sensors of each; windows that have none of them are left out.
    """
    if not keys:
        return []
    found = await rows_where(windows, of_windows(keys), sensors)
    return [found[key] for key in keys if key in found]


async def rows_where(
    windows: database.Collection,
    condition: Document,
    sensors: Collection[str] = (),
) -> dict[WindowKey, Row]:
    """Return the windows whose documents match a condition, which takes all or none of each.

    Other tasks run meanwhile.
    """
    found: dict[WindowKey, Row] = {}
    itemized: list[WindowKey] = []
    documents_of = await _documents(windows, condition, sensors)
    for number, (key, documents) in enumerate(documents_of.items()):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        if _has_to_be_folded(documents):
            itemized.append(key)
        elif (row := _row(key, documents)) is not None:
            found[key] = row
    if itemized:
        found |= {row.key: row for row in await _folded_rows(windows, itemized, sensors)}
    return found


_Documents = list[tuple[DocumentKey, Document]]


async def _documents(
    windows: database.Collection, condition: Document, sensors: Collection[str]
) -> dict[WindowKey, _Documents]:
    found: dict[WindowKey, _Documents] = {}
    fields = _fields(sensors) if sensors else _ALL_SENSORS
    batches = in_batches(windows, condition, fields, batch_size=BATCH)
    async with aclosing(batches):
        async for batch in batches:
            for document in batch:
                key = key_of(document)
                if key is not None:
                    found.setdefault(key.window, []).append((key, document))
    return found


def _fields(sensors: Collection[str]) -> Document:
    """Return a projection, so that MongoDB sends no more sensors than are shown."""
    return {"received_at": 1, "itemized": 1, **{f"sensors.{name}": 1 for name in sensors}}


def _has_to_be_folded(documents: _Documents) -> bool:
    if any(document.get("itemized") for _, document in documents):
        return True
    return len(documents) > 1 and any(key.is_folded for key, _ in documents)


def _row(key: WindowKey, documents: _Documents) -> Row | None:
    """Return a window whose documents share no reading; None if none of them can be read."""
    received: list[datetime] = []
    moments: dict[str, Moments] = {}
    for _, document in sorted(documents, key=lambda each: each[0]):
        try:
            received.append(read_received_at(document))
            for name, some in document["sensors"].items():
                _add(moments, name, _moments(some))
        except (AttributeError, KeyError, TypeError):
            report_unreadable()
    return Row(key, max(received), moments) if moments else None


def _moments(stored: dict[str, Any]) -> Moments:
    return Moments(stored["count"], stored["mean"], stored["m2"], stored["min"], stored["max"])


def _add(moments: dict[str, Moments], name: str, more: Moments) -> None:
    before = moments.get(name)
    moments[name] = more if before is None else before.merge(more)


async def _folded_rows(
    windows: database.Collection, keys: Iterable[WindowKey], sensors: Collection[str]
) -> list[Row]:
    found: list[Row] = []
    batches = folded_of(windows, list(keys), sensors)
    async with aclosing(batches):
        async for batch in batches:
            for window in batch.windows:
                moments = {name: moments_of(some) for name, some in window.sensors.items()}
                found.append(Row(window.key, window.received_at, moments))
    return found
