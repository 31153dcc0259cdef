"""Windows of many facilities, made fast: ready messages of which only the identity changes.

One facility has 30 days of windows where there are 2,000,000 in all, and a hundred others have
the last two days. All end at the same time, and after it every facility goes on.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from bench_partials import READINGS, RUN, VARIETY, WINDOW_MS, summaries
from bench_workload import SENSORS
from pymongo import AsyncMongoClient, WriteConcern
from sensorpipe_schema import partial
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import Origin, Partial, Summary

LONG = "facility_000"
"""The facility with the long history."""

FACILITIES = 101

_LONG_SHARE = 259_200 / 2_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 1_000
_BATCHES_AT_ONCE = 3

Document = dict[str, Any]


class Window(NamedTuple):
    """The window of a facility that has so many before it."""

    facility: str
    start_ms: int
    before: int


class History:
    """So many windows up to a moment, stored as they came until `now_ms`; unix milliseconds."""

    def __init__(self, windows: int, end_ms: int, now_ms: int = 0) -> None:
        self.asked = windows
        self.end_ms = end_ms
        self.delay_ms = max(2_000, now_ms - end_ms)
        """From the end of each window until it was stored."""
        long = int(windows * _LONG_SHARE)
        short = (windows - long) // (FACILITIES - 1)
        self.counts = {
            name: short if number else long
            for number, name in enumerate(facility_names(FACILITIES))
        }

    @property
    def windows(self) -> int:
        """How many windows there are in all."""
        return sum(self.counts.values())

    def past(self, part: int = 0, parts: int = 1) -> Iterator[Window]:
        """Yield all windows in order of time, or those of one of several shares of facilities."""
        chosen = list(islice(self.counts.items(), part, None, parts))
        for ago in range(max((count for _, count in chosen), default=0), 0, -1):
            start_ms = self.end_ms - ago * WINDOW_MS
            for facility, count in chosen:
                if ago <= count:
                    yield Window(facility, start_ms, count - ago)

    def onward(self, step: int = 0) -> Iterator[Window]:
        """Yield the windows that follow, of all facilities in turn, but for the first steps."""
        while True:
            for facility, count in self.counts.items():
                yield Window(facility, self.end_ms + step * WINDOW_MS, count + step)
            step += 1

    def listed(self) -> list[Document]:
        """Return the documents of the facilities."""
        return [
            listed(facility, self.end_ms - count * WINDOW_MS, self.end_ms)
            for facility, count in self.counts.items()
        ]


def listed(facility: str, first_ms: int, end_ms: int) -> Document:
    """Return what the server notes of a facility whose windows begin and end then."""
    return {
        "_id": facility,
        "sensors": sorted(name for name, _ in SENSORS),
        "first_ms": first_ms,
        "last_ms": end_ms - WINDOW_MS,
        "last_end_ms": end_ms,
    }


def facility_names(count: int) -> list[str]:
    """Return the names of so many facilities."""
    return [f"facility_{number:03}" for number in range(count)]


@cache
def _message(variant: int) -> tuple[CompactedReading, Document]:
    """Return a message and what its document says of the sensors."""
    held = summaries(variant)
    sensors = {
        name: Summary(moments, sketch, {"bench": [(1, READINGS)]}) for name, moments, sketch in held
    }
    ready = Partial(LONG, 0, WINDOW_MS, Origin("bench", RUN, 1, 1), sensors)
    shown = {
        name: {"count": one.count, "mean": one.mean, "m2": one.m2, "min": one.min, "max": one.max}
        for name, one, _ in held
    }
    return CompactedReading.FromString(partial.encode(ready)), shown


def value(window: Window, number: int) -> bytes:
    """Return a window's only partial, the so-manieth of its run, as it goes to Kafka."""
    message, _ = _message(number % VARIETY)
    message.facility = window.facility
    message.window_start_ms = window.start_ms
    message.window_end_ms = window.start_ms + WINDOW_MS
    message.origin.number = number
    message.origin.newest_ms = message.window_end_ms
    first = window.before * READINGS + 1
    for entry in message.sensors:
        entry.sources[0].bounds[:] = [first, first + READINGS - 1]
    return message.SerializeToString()


def document(window: Window, number: int, delay_ms: int = 2_000) -> Document:
    """Return a window's only partial as the server stores it, so long after its end."""
    start_ms = window.start_ms
    start = _EPOCH + timedelta(milliseconds=start_ms)
    end = start + timedelta(milliseconds=WINDOW_MS)
    return {
        "_id": f"{window.facility}/{start_ms:015d}/{WINDOW_MS}/{RUN:016x}/{number}",
        "facility_name": window.facility,
        "window": {"start_time": start, "end_time": end},
        "received_at": end + timedelta(milliseconds=delay_ms),
        "sensors": _message(number % VARIETY)[1],
        "partial": value(window, number),
    }


async def store(uri: str, documents: Iterator[Document], facilities: list[Document]) -> None:
    """Store windows and the list of facilities, faster than any server: not waiting for disks."""
    async with AsyncMongoClient[Document](uri) as client:
        database = client.get_default_database()
        if facilities:
            await database["facilities"].insert_many(facilities)
        windows = database.get_collection(COMPACTED, write_concern=WriteConcern(1))

        async def insert() -> None:
            while batch := list(islice(documents, _BATCH)):
                await windows.insert_many(batch, ordered=False)

        async with asyncio.TaskGroup() as group:
            for _ in range(_BATCHES_AT_ONCE):
                group.create_task(insert())
        await client.admin.command("fsync")
