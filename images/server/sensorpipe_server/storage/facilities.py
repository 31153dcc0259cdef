"""Notes which sensors each facility has ever had, their units, and its first and last window.

Sensors and a first window are noted before the window is stored, so that no range is taken for
empty although it has a window. Last windows are noted every few seconds, and may lag behind what
is stored. `reads.facility_list` describes the documents, and reads them.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError
from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_server.storage import metrics
from sensorpipe_server.storage.documents import MAX_LISTED_SENSORS
from sensorpipe_server.storage.mongodb import refusal
from sensorpipe_server.storage.mongodb.database import Collection
from sensorpipe_server.storage.pending import Pending

MAX_REMEMBERED: Final = 100_000
"""Largest number of sensors, over all facilities, that are remembered as noted.

Beyond it all are forgotten and noted again, which costs some writes.
"""

TIMES_SECONDS: Final = 5.0
"""Shortest time in seconds between two writes of first and last windows."""

log = logging.getLogger(__name__)


class Facilities:
    """Notes new facilities and sensors, and remembers which it has noted."""

    def __init__(self, collection: Collection, clock: Callable[[], float] = time.monotonic) -> None:
        self._collection = collection
        self._clock = clock
        self._times: dict[str, tuple[int, int, int]] = {}
        self._times_written_at = float("-inf")
        self._times_log = ThrottledLogger(log, on_change=False)
        self._noted: dict[str, set[str]] = {}
        self._first: dict[str, int] = {}
        self._units: dict[tuple[str, str], str] = {}
        self._noted_count = 0
        self._throttled_log = ThrottledLogger(log)
        self._unlisted: set[tuple[str, str]] = set()
        self._unlisted_log = ThrottledLogger(log)

    async def note(self, partials: Sequence[Pending], *, refused_seconds: float = 0.0) -> None:
        """Store the facilities, sensors and first windows that are new in these partials.

        What MongoDB never accepts is not listed, with a warning; its readings are stored all
        the same. `refused_seconds` is the time for which MongoDB has refused documents.
        """
        new, first = self._new(partials), self._earlier(partials)
        if new or first:
            await self._list(
                {name: new.get(name, set()) for name in {**new, **first}}, first, refused_seconds
            )
            self._remember(new)
            self._first |= first
        await self._note_units(partials)

    async def note_times(self, partials: Iterable[Pending]) -> None:
        """Note the windows of stored partials; write them if TIMES_SECONDS have passed."""
        times = self._times
        for each in partials:
            start, end = each.start_ms, each.end_ms
            first, last, last_end = times.get(each.facility, (start, start, end))
            times[each.facility] = (min(first, start), max(last, start), max(last_end, end))
        if self._clock() - self._times_written_at >= TIMES_SECONDS:
            await self.write_times()

    async def write_times(self) -> None:
        """Write the first and last windows of facilities; after a failure, write them later."""
        if not self._times:
            return
        self._times_written_at = self._clock()
        updates = [
            UpdateOne(
                {"_id": facility},
                {
                    "$min": {"first_ms": first},
                    "$max": {"last_ms": last, "last_end_ms": last_end},
                },
                upsert=True,  # the list may have been dropped since its sensors were noted
            )
            for facility, (first, last, last_end) in self._times.items()
        ]
        try:
            await self._collection.bulk_write(updates, ordered=False)
        except PyMongoError as error:
            self._times_log.warning(
                "first and last windows of facilities are not noted; trying again",
                error=str(error)[:500],
            )
            if len(self._times) < MAX_REMEMBERED:
                return
        else:
            self._times_log.resolved("first and last windows of facilities are noted again")
        self._times.clear()

    async def _list(
        self, sensors: dict[str, set[str]], first: Mapping[str, int], refused_seconds: float
    ) -> None:
        """Write the listings of facilities."""
        updates = [
            UpdateOne({"_id": facility}, _listing(sorted(names), first.get(facility)), upsert=True)
            for facility, names in sensors.items()
        ]
        try:
            await self._collection.bulk_write(updates, ordered=False)
        except BulkWriteError as error:
            facilities = list(sensors)
            for problem in refusal.permanent(error, refused_seconds):
                if refusal.is_duplicate_id(problem):  # another server has just listed it
                    raise
                self._throttled_log.warning(
                    "sensors of a facility are not listed; its readings are stored all the same",
                    facility=facilities[problem["index"]],
                    error=refusal.describe(problem)[:500],
                )
        await self._look_for_unlisted(sensors)

    async def _note_units(self, partials: Iterable[Pending]) -> None:
        """Store the units that are new or have changed, of sensors that are listed."""
        new: dict[tuple[str, str], str] = {}
        for each in partials:
            for sensor, unit in each.units.items():
                if self._units.get((each.facility, sensor)) != unit:
                    new[each.facility, sensor] = unit
        if not new:
            return
        updates = [
            UpdateOne({"_id": facility, "sensors": sensor}, {"$set": {f"units.{sensor}": unit}})
            for (facility, sensor), unit in new.items()
        ]
        await self._collection.bulk_write(updates, ordered=False)
        if len(self._units) > MAX_REMEMBERED:
            self._units.clear()
        self._units |= new

    async def _look_for_unlisted(self, sensors: dict[str, set[str]]) -> None:
        """Count and log the sensors that were not listed because the list is full."""
        full = {
            "_id": {"$in": list(sensors)},
            f"sensors.{MAX_LISTED_SENSORS - 1}": {"$exists": True},
        }
        unlisted = {
            (found["_id"], name)
            async for found in self._collection.find(full, {"sensors": 1})
            for name in sensors[found["_id"]].difference(found["sensors"])
        }
        if not unlisted:
            return
        metrics.UNLISTED.inc(len(unlisted - self._unlisted))
        if len(self._unlisted) > MAX_REMEMBERED:
            self._unlisted.clear()
        self._unlisted |= unlisted
        self._unlisted_log.warning(
            "a facility has more sensors than are listed; their readings are stored all the same",
            facility=min(unlisted)[0],
            listed=MAX_LISTED_SENSORS,
        )

    def forget(self) -> None:
        """Forget what is noted, so that it is noted again: the database may have lost it."""
        self._noted.clear()
        self._first.clear()
        self._units.clear()
        self._noted_count = 0

    def _new(self, partials: Iterable[Pending]) -> dict[str, set[str]]:
        """Return the sensors of each facility that are not remembered as noted."""
        new: dict[str, set[str]] = {}
        for each in partials:
            known, (facility, *names) = self._noted.get(each.facility), each.series
            if known is None or not known.issuperset(names):
                new.setdefault(facility, set()).update(names)
        return {name: sensors - self._noted.get(name, set()) for name, sensors in new.items()}

    def _earlier(self, partials: Iterable[Pending]) -> dict[str, int]:
        """Return the start in unix milliseconds of each new first window, by facility."""
        first: dict[str, int] = {}
        for each in partials:
            known = first.get(each.facility, self._first.get(each.facility))
            if known is None or each.start_ms < known:
                first[each.facility] = each.start_ms
        return first

    def _remember(self, new: Mapping[str, set[str]]) -> None:
        """Remember sensors one by one, as each partial may have a different set of them."""
        if self._noted_count > MAX_REMEMBERED:
            self.forget()
        for facility, names in new.items():
            self._noted.setdefault(facility, set()).update(names)
            self._noted_count += len(names)


def _listing(names: list[str], first_ms: int | None) -> list[dict[str, Any]]:
    """Return an update that appends the names not listed yet, as far as the bound allows.

    It notes a window that starts before the first one noted, in unix milliseconds, as well.

    Without a bound the document outgrows MongoDB's 16 MiB, and no batch that has a new
    sensor of this facility could be stored again. Names listed already are kept.
    """
    listed = {"$ifNull": ["$sensors", []]}
    new = {"$setDifference": [{"$literal": names}, listed]}
    bound = {"$max": [MAX_LISTED_SENSORS, {"$size": listed}]}
    fields: dict[str, Any] = {"sensors": {"$slice": [{"$concatArrays": [listed, new]}, bound]}}
    if first_ms is not None:
        fields["first_ms"] = {"$min": ["$first_ms", first_ms]}
    return [{"$set": fields}]
