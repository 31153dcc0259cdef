"""The list of facilities: their sensors and units, and their first and last windows.

    {_id: FACILITY, sensors: [NAME, …], units: {NAME: UNIT, …}, first_ms, last_ms, last_end_ms}

`first_ms` and `last_ms` are the starts of the first and the last window, `last_end_ms` the end
of the last one, in unix milliseconds. The server that stores windows writes the list, a little
later; in a database that was dropped or restored it is incomplete or missing. So an empty list
does not mean that there are no facilities, and `note` completes it from the windows.
"""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Final, NamedTuple

import pymongo

from sensorpipe_server.storage.documents import (
    END_OF_TIME_MS,
    MAX_LISTED_SENSORS,
    Document,
    WindowKey,
)
from sensorpipe_server.storage.mongodb.database import READ_SECONDS, Collection
from sensorpipe_server.storage.queries import (
    facility_names,
    in_batches,
    newest_window,
    oldest_window,
)
from sensorpipe_server.storage.reads.pages import rows
from sensorpipe_server.storage.rollups.levels import LEVELS, rollup_range, rollup_start

_TIMES: Final = {"first_ms": 1, "last_ms": 1, "last_end_ms": 1}
_ONE_SENSOR: Final = {"sensors": {"$slice": 1}}
_SENSORS: Final = {"sensors": 1, "units": 1}


class FacilityEntry(NamedTuple):
    """The entry of a facility; None stands for a field that is not stored."""

    name: str
    sensors: list[str] | None = None
    first_ms: int | None = None
    last_ms: int | None = None
    last_end_ms: int | None = None
    units: Mapping[str, str] = {}
    """Units by sensor, where they are known."""

    @property
    def is_whole(self) -> bool:
        """Whether no field is missing."""
        return bool(self.sensors) and None not in self[2:]

    @property
    def length_ms(self) -> int:
        """Length of the last window in milliseconds; 0 if that is unknown."""
        if self.last_ms is None or self.last_end_ms is None:
            return 0
        return self.last_end_ms - self.last_ms

    def may_have(self, from_ms: int, to_ms: int) -> bool:
        """Whether the facility may have windows that start in `from_ms <= start < to_ms`."""
        first = 0 if self.first_ms is None else self.first_ms
        last = END_OF_TIME_MS if self.last_ms is None else self.last_ms
        return first < to_ms and from_ms <= last


async def read_entries(
    lists: Collection, *, with_sensors: bool, name: str | None = None
) -> list[FacilityEntry]:
    """Return the entries of all facilities, sorted by name, or of one.

    Without `with_sensors` an entry has at most one sensor, and no units.
    """
    fields: Document = {**_TIMES, **(_SENSORS if with_sensors else _ONE_SENSOR)}
    found: list[FacilityEntry] = []
    async with aclosing(in_batches(lists, {"_id": name or {"$gte": ""}}, fields)) as batches:
        async for batch in batches:
            found += [_entry(entry) for entry in batch]
    return found


def _entry(entry: Document) -> FacilityEntry:
    times = {field: entry.get(field) for field in _TIMES}
    units = entry.get("units", {})
    return FacilityEntry(entry["_id"], entry.get("sensors"), **times, units=units)


async def facilities(
    windows: Collection, rollups: Collection, lists: Collection
) -> list[FacilityEntry]:
    """Return all facilities, sorted; if none is listed, those that have windows or rollups."""
    found = await read_entries(lists, with_sensors=False)
    if found:
        return found
    names = {name for some in (windows, rollups) async for name in facility_names(some)}
    return [FacilityEntry(name) for name in sorted(names)]


async def sensors_in(windows: Collection, key: WindowKey) -> list[str]:
    """Return the sensors of a window, at most MAX_LISTED_SENSORS of them."""
    found = await rows(windows, [key])
    return sorted(name for row in found for name in row.sensors)[:MAX_LISTED_SENSORS]


async def first_rollup(rollups: Collection, name: str) -> int:
    """Return the start of a facility's first rollup, in unix milliseconds.

    Its windows may have been removed. Returns END_OF_TIME_MS if there is no rollup.
    """
    starts = [END_OF_TIME_MS]
    for level in LEVELS:
        condition = {"_id": rollup_range(name, level)}
        with pymongo.timeout(READ_SECONDS):
            found = await rollups.find_one(condition, {"_id": 1}, sort=[("_id", 1)])
        if found is not None:
            starts.append(rollup_start(found))
    return min(starts)


async def note(
    windows: Collection, rollups: Collection, lists: Collection, name: str
) -> WindowKey | None:
    """Note a facility's first and last window and its sensors, and return its last window.

    If the first window was removed, its rollup says when it started at the earliest. Sensors
    are noted only where none are listed. Returns None if it has no window.
    """
    first, last = await oldest_window(windows, name), await newest_window(windows, name)
    if first is None or last is None:
        return None
    sensors = await sensors_in(windows, last)
    first_ms = min(first.start_ms, await first_rollup(rollups, name))
    with pymongo.timeout(READ_SECONDS):
        await lists.update_one(
            {"_id": name},
            {
                "$min": {"first_ms": first_ms},
                "$max": {"last_ms": last.start_ms, "last_end_ms": last.end_ms},
            },
            upsert=True,
        )
        await lists.update_one(
            {"_id": name, "sensors.0": {"$exists": False}}, {"$set": {"sensors": sensors}}
        )
    return last
