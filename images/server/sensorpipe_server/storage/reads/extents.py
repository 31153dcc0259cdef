"""Which facilities a series is of, from when to when they have windows, and of which sensors."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple

from sensorpipe_schema.patterns import matcher as patterns_matcher

from sensorpipe_server.storage.documents import Document
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.queries import (
    facility_names,
    in_batches,
    newest_window,
    oldest_window,
)
from sensorpipe_server.storage.reads.facility_list import first_rollup, sensors_in

WINDOW_MS: Final = 10_000
"""Length of a window in milliseconds where no window says otherwise."""


class Extent(NamedTuple):
    """From when to when a facility has windows, in unix milliseconds."""

    facility: str
    first_ms: int
    """Start of the first window; at most 5 s behind what is stored, as is the end."""
    end_ms: int
    length_ms: int
    """Length of the last window."""
    sensors: int
    """Number of its sensors that were asked for."""
    units: Mapping[str, str] = {}
    """Units by sensor, where they are known."""


class Choice(NamedTuple):
    """Facilities: those of some names or patterns, or all if there is none of either."""

    patterns: Sequence[str]
    granted: Sequence[str] = ("*",)
    """Names and patterns of the facilities that may be read; only those are chosen."""

    @property
    def names(self) -> list[str] | None:
        """The names, if there are no patterns."""
        if not self.patterns or any("*" in each for each in self.patterns):
            return None
        return sorted(set(self.patterns))

    def matcher(self) -> Callable[[str], bool]:
        """Return a function: whether a facility is one of them."""
        return matcher(self.patterns, self.granted)


def matcher(patterns: Sequence[str], granted: Sequence[str] = ("*",)) -> Callable[[str], bool]:
    """Return a function: whether a facility matches any of these names and patterns.

    All match if there are no patterns. Of these, only those that match `granted`, too.
    """
    wanted, may_read = patterns_matcher(patterns or ("*",)), patterns_matcher(granted)
    if "*" in granted:
        return wanted
    return lambda name: may_read(name) and wanted(name)


class Extents:
    """Reads the extents of facilities from their list, or where it lacks one, from the windows."""

    def __init__(self, db: Database) -> None:
        self._windows = database.windows(db)
        self._rollups = database.rollups(db)
        self._lists = database.facilities(db)

    async def read(self, choice: Choice, sensors: Collection[str]) -> list[Extent]:
        """Return the extents of the facilities that have windows, sorted by name."""
        names, has = choice.names, choice.matcher()
        condition = {"$gte": ""} if names is None else {"$in": names}
        found: dict[str, Extent | None] = {}
        entries = in_batches(self._lists, {"_id": condition}, _fields(sensors))
        async with aclosing(entries) as batches:
            async for batch in batches:
                for entry in batch:
                    if has(entry["_id"]):
                        found[entry["_id"]] = _extent(entry)
        if names is not None:
            found |= dict.fromkeys(set(names) - found.keys())
        elif not found:  # nothing matches, or the list was dropped
            found = dict.fromkeys([name for name in await self._listless() if has(name)])
        for name in [name for name, extent in found.items() if extent is None]:
            found[name] = await self._look(name, sensors)
        return [extent for _, extent in sorted(found.items()) if extent is not None]

    async def _listless(self) -> Iterable[str]:
        if await database.await_answer(self._lists.find_one({}, {"_id": 1})) is not None:
            return ()
        both = self._windows, self._rollups
        return {name for some in both async for name in facility_names(some)}

    async def _look(self, facility: str, sensors: Collection[str]) -> Extent | None:
        """Return what the windows of a facility say; None if it has none."""
        first = await oldest_window(self._windows, facility)
        last = await newest_window(self._windows, facility)
        if first is None or last is None:
            return None
        first_ms = min(first.start_ms, await first_rollup(self._rollups, facility))
        number = len(sensors) or len(await sensors_in(self._windows, last))
        return Extent(facility, first_ms, last.end_ms, last.length_ms, number)


def common_units(extents: Iterable[Extent], sensors: Collection[str]) -> dict[str, str]:
    """Return the units in which facilities agree, of these sensors, or of all if there are none."""
    found: dict[str, str | None] = {}
    for each in extents:
        for sensor, unit in each.units.items():
            if not sensors or sensor in sensors:
                found[sensor] = unit if found.get(sensor, unit) == unit else None
    return {sensor: unit for sensor, unit in sorted(found.items()) if unit is not None}


def _fields(sensors: Collection[str]) -> Document:
    listed: Document = {"$ifNull": ["$sensors", []]}
    if sensors:
        listed = {"$setIntersection": [listed, {"$literal": sorted(sensors)}]}
    times = {"first_ms": 1, "last_ms": 1, "last_end_ms": 1}
    return {**times, "units": 1, "number": {"$size": listed}}


def _extent(entry: Document) -> Extent | None:
    """Return the extent that an entry of the list has; None if it is not whole."""
    try:
        first_ms, last_ms, end_ms = entry["first_ms"], entry["last_ms"], entry["last_end_ms"]
        length_ms, units = end_ms - last_ms, entry.get("units", {})
        return Extent(entry["_id"], first_ms, end_ms, length_ms, max(1, entry["number"]), units)
    except KeyError:
        return None
