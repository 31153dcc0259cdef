"""Reads windows from MongoDB: every wait is bounded, and the event loop never blocks for long.

Documents are fetched in batches and yielded as whole windows: a window whose documents come in two
batches is folded with the second one.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple, cast

import bson
import pymongo
from bson.codec_options import CodecOptions
from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_server.storage.documents import (
    END_OF_TIME_MS,
    Document,
    DocumentKey,
    WindowKey,
    id_range,
    read_id,
)
from sensorpipe_server.storage.fold import Window, fold, fold_only
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import READ_SECONDS
from sensorpipe_server.storage.pace import aside

BATCH: Final = 100
"""Largest number of documents that are yielded together: some 10 ms of work."""

FETCHED: Final = 1000
"""Largest number of documents that are fetched at a time; MongoDB sends 16 MiB at most."""

GAPS: Final = 1000
"""Largest number of gaps between facilities that one query looks into."""

_DETAILS: Final = {"partial": 1, "received_at": 1}

_UTC_DATES: Final[CodecOptions[Document]] = CodecOptions(tz_aware=True)

log = logging.getLogger(__name__)

throttled = ThrottledLogger(log)
"""Logs that something stored is unreadable."""


class WindowBatch(NamedTuple):
    """Some consecutive windows."""

    windows: list[Window]
    unreadable: int
    """Number of documents that belong to no window."""
    size: int = 0
    """Bytes of their partials."""


async def facility_names(windows: database.Collection, after: str = "") -> AsyncGenerator[str]:
    """Yield the facilities that have windows, sorted, from the first one after `after`.

    They are read from the windows, not from the list of facilities.
    """
    behind = f"{after}0" if after else ""
    async with aclosing(of_each_facility(windows, {"_id": 1}, behind)) as documents:
        async for document in documents:
            yield facility_of(document)


async def of_each_facility(
    collection: database.Collection,
    fields: Mapping[str, Any],
    behind: str = "",
    *,
    newest: bool = False,
) -> AsyncGenerator[Document]:
    """Yield the first document of each facility, in order of `_id`; or the last, in reverse.

    Only documents whose `_id` is greater than `behind`. Each is one step in the index of `_id`.
    """
    bounds = {"$gt": behind, "$lt": "\U0010ffff"}
    order = [("_id", -1 if newest else 1)]
    while True:
        with pymongo.timeout(READ_SECONDS):
            finding = collection.find_one({"_id": bounds}, fields, sort=order)
            found = await database.await_answer(finding)
        if found is None:
            return
        name = facility_of(found)
        if newest:
            bounds["$lt"] = f"{name}/" if name else found["_id"]
        else:
            bounds["$gt"] = f"{name}0" if name else found["_id"]  # "0" comes next to "/"
        if name:
            yield found


def facility_of(document: Mapping[str, Any]) -> str:
    """Return the facility that an `_id` names; an empty one if it names none."""
    name, slash, _ = str(document["_id"]).partition("/")
    return name if slash else ""


async def has_others(windows: database.Collection, names: Collection[str]) -> bool:
    """Return whether any document belongs to another facility than these.

    It takes one step in the index of `_id` for each gap between them, `GAPS` of them in a query.
    """
    ordered = sorted(f"{name}/" for name in names)
    behind = ["", *(f"{name[:-1]}0" for name in ordered)]  # "0" comes next to "/"
    gaps: list[Document] = [
        {"_id": {"$gte": low, "$lt": high}}
        for low, high in zip(behind, [*ordered, "\U0010ffff"], strict=True)
    ]
    for at in range(0, len(gaps), GAPS):
        with pymongo.timeout(READ_SECONDS):
            other = windows.find_one({"$or": gaps[at : at + GAPS]}, {"_id": 1})
            if await database.await_answer(other) is not None:
                return True
    return False


async def newest_window(windows: database.Collection, facility: str) -> WindowKey | None:
    """Return the newest window of a facility; None if it has none."""
    async with aclosing(newest_keys(windows, {"_id": id_range(facility)}, 1)) as keys:
        return await anext(keys, None)


async def oldest_window(windows: database.Collection, facility: str) -> WindowKey | None:
    """Return the oldest window of a facility; None if it has none."""
    condition = {"_id": id_range(facility)}
    keys = window_keys(windows, condition, batch_size=1)
    async with aclosing(keys):
        return await anext(keys, None)


async def folded_windows(
    windows: database.Collection,
    facility: str,
    from_ms: int = 0,
    to_ms: int = END_OF_TIME_MS,
    *,
    sensors: Collection[str] = (),
    newest_first: bool = False,
) -> AsyncGenerator[WindowBatch]:
    """Yield the windows of a facility that start in `from_ms <= start < to_ms`.

    With `sensors` only windows that have one of these sensors, and only these sensors of them;
    `received_at` is then that of the partials that have one.
    """
    condition = with_sensors({"_id": id_range(facility, from_ms, to_ms)}, sensors)
    read = _newest_first if newest_first else folded_where
    async with aclosing(read(windows, condition, sensors)) as batches:
        async for batch in batches:
            yield batch


async def folded_of(
    windows: database.Collection, keys: Sequence[WindowKey], sensors: Collection[str] = ()
) -> AsyncGenerator[WindowBatch]:
    """Yield these windows as far as they exist, the oldest first."""
    async with aclosing(folded_where(windows, of_windows(keys), sensors)) as batches:
        async for batch in batches:
            yield batch


async def folded_where(
    windows: database.Collection,
    condition: Mapping[str, Any],
    sensors: Collection[str] = (),
) -> AsyncGenerator[WindowBatch]:
    """Yield the windows whose documents match a condition, in the order of `_id`.

    With `sensors` only these sensors of each window. The last window of a batch waits for the
    next one, which may have more of its documents.
    """
    waiting: list[tuple[WindowKey, Document]] = []
    async with aclosing(in_batches(windows, condition, _DETAILS)) as documents:
        async for batch in documents:
            known = [(key.window, each) for each in batch if (key := key_of(each)) is not None]
            unreadable = len(batch) - len(known)
            if known:
                waiting += known
                last = known[-1][0]
                at = next(i for i, (key, _) in enumerate(waiting) if key == last)
                known, waiting = waiting[:at], waiting[at:]
            yield await _fold_all(known, unreadable, sensors)
    if waiting:
        yield await _fold_all(waiting, 0, sensors)


async def window_keys(
    windows: database.Collection,
    condition: Mapping[str, Any],
    *,
    batch_size: int = 1000,
) -> AsyncGenerator[WindowKey]:
    """Yield the windows with documents that match a condition, the oldest first."""
    documents = in_batches(windows, condition, {"_id": 1}, batch_size=batch_size)
    last: WindowKey | None = None
    async with aclosing(documents):
        async for batch in documents:
            for document in batch:
                key = key_of(document)
                if key is not None and key.window != last:
                    last = key.window
                    yield last


async def newest_keys(
    windows: database.Collection, condition: Document, batch_size: int
) -> AsyncGenerator[WindowKey]:
    """Yield the windows with documents that match a condition, the newest first.

    They are read from about `batch_size` documents at a time.
    """
    async with aclosing(_parts(windows, condition, batch_size)) as parts:
        async for part in parts:
            keys = [key async for key in window_keys(windows, part)]
            for key in reversed(keys):
                yield key


async def count_windows(
    windows: database.Collection, condition: Mapping[str, Any], step_ms: int
) -> dict[int, int]:
    """Return the number of windows with documents that match a condition, by start.

    Starts are rounded down to multiples of `step_ms`, in unix milliseconds.
    """
    start = {"$convert": {"input": {"$first": "$_id"}, "to": "long", "onError": 0}}
    pipeline: list[Document] = [
        {"$match": condition},
        {"$group": {"_id": {"$slice": [{"$split": ["$_id", "/"]}, 1, 2]}}},  # start and length
        {"$project": {"_id": 0, "start": start}},
        {
            "$group": {
                "_id": {"$subtract": ["$start", {"$mod": ["$start", step_ms]}]},
                "windows": {"$sum": 1},
            }
        },
    ]
    with pymongo.timeout(READ_SECONDS):
        cursor = await database.await_answer(windows.aggregate(pipeline, batchSize=FETCHED))
        found = await database.await_answer(cursor.to_list())
    return {each["_id"]: each["windows"] for each in found}


def with_sensors(condition: Document, sensors: Collection[str]) -> Document:
    """Return a condition narrowed to documents with one of the sensors, if any are given."""
    if not sensors:
        return condition
    has_one = {"$or": [{f"sensors.{name}": {"$exists": True}} for name in sensors]}
    return {"$and": [condition, has_one]} if "$or" in condition else {**condition, **has_one}


def of_windows(keys: Sequence[WindowKey]) -> Document:
    """Return the condition for all documents of these windows, at least one.

    Adjacent windows, such as those of a page, become one range, in which windows of another length
    may be as well.
    """
    ranges: list[list[WindowKey]] = []
    for key in sorted(keys):
        if ranges and key == ranges[-1][-1]._replace(start_ms=ranges[-1][-1].end_ms):
            ranges[-1].append(key)
        else:
            ranges.append([key])
    return any_of([{"_id": {"$gt": f"{some[0]}/", "$lt": f"{some[-1]}0"}} for some in ranges])


def any_of(conditions: Sequence[Document]) -> Document:
    """Return the condition that at least one of some conditions holds."""
    return conditions[0] if len(conditions) == 1 else {"$or": list(conditions)}


def key_of(document: Mapping[str, Any]) -> DocumentKey | None:
    """Return the key of a document; None if its `_id` is not a partial's."""
    try:
        return read_id(document["_id"])
    except ValueError:
        return None


def report_unreadable() -> None:
    """Log, now and then, that something stored cannot be read."""
    throttled.warning(
        "something stored cannot be read and is left out; /api/integrity counts it as unreadable"
    )


async def in_batches(
    collection: database.Collection,
    condition: Mapping[str, Any],
    projection: Mapping[str, Any],
    *,
    batch_size: int | None = None,
) -> AsyncGenerator[list[Document]]:
    """Yield lists of documents in the order of `_id`; other tasks run in between.

    A list has at most `batch_size` documents, `BATCH` by default. The cursor is closed with the
    generator, also when its task is cancelled.
    """
    fetched, handed = batch_size or FETCHED, batch_size or BATCH
    cursor = collection.find_raw_batches(condition, projection, batch_size=fetched).sort("_id", 1)
    try:
        while True:
            with pymongo.timeout(READ_SECONDS):
                # the stubs say document, but it is the bytes of a whole batch
                raw = cast("bytes | None", await database.await_answer(anext(cursor, None)))
            if raw is None:
                return
            documents = bson.decode_all(raw, _UTC_DATES)
            for at in range(0, len(documents), handed):
                yield documents[at : at + handed]
                await asyncio.sleep(0)
    finally:
        await cursor.close()


async def _newest_first(
    windows: database.Collection, condition: Document, sensors: Collection[str]
) -> AsyncGenerator[WindowBatch]:
    """Yield windows in reverse order of `_id`, the documents of each in order of `_id`."""
    async with aclosing(_parts(windows, condition, 2 * BATCH)) as parts:
        async for part in parts:
            found = WindowBatch([], 0)
            async for batch in folded_where(windows, part, sensors):
                found = WindowBatch(
                    found.windows + batch.windows, found.unreadable + batch.unreadable
                )
            found.windows.reverse()
            yield found


async def _parts(
    windows: database.Collection, condition: Document, size: int
) -> AsyncGenerator[Document]:
    """Yield conditions that split a condition, the newest part first, each to be read forwards.

    Each matches whole windows, of about `size` documents. A folded document comes after its
    parts in the order of `_id`. So if they are folded meanwhile, the parts or the folded document
    are read; in reverse order it might be neither.
    """
    bounds = dict(condition["_id"])
    while True:
        here = {**condition, "_id": bounds}
        with pymongo.timeout(READ_SECONDS):
            last = await database.await_answer(
                windows.find_one(here, {"_id": 1}, sort=[("_id", -1)], skip=size - 1)
            )
        if last is None:
            yield here
            return
        key = key_of(last)
        oldest = last["_id"] if key is None else f"{key.window}/"
        yield {**condition, "_id": {**bounds, "$gte": oldest}}
        bounds = {**bounds, "$lt": oldest}


async def _fold_all(
    known: Sequence[tuple[WindowKey, Document]], unreadable: int, sensors: Collection[str]
) -> WindowBatch:
    size = sum(_size(document.get("partial")) for _, document in known)
    windows, unreadable = await aside(size, _folded, known, unreadable, sensors)
    if unreadable or any(window.unreadable for window in windows):
        report_unreadable()
    return WindowBatch(windows, unreadable, size)


def _size(partial: object) -> int:
    return len(partial) if isinstance(partial, bytes) else 0


def _folded(
    known: Sequence[tuple[WindowKey, Document]], unreadable: int, sensors: Collection[str]
) -> tuple[list[Window], int]:
    windows = []
    chosen = sensors or None
    for key, group in groupby(known, key=itemgetter(0)):
        documents = [document for _, document in group]
        window = fold_only(key, documents[0], chosen) if len(documents) == 1 else None
        window = window or fold(key, documents, chosen)
        if window is None:
            unreadable += len(documents)
            continue
        if window.sensors:
            windows.append(window)
    return windows, unreadable
