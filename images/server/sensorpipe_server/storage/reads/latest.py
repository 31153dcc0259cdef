"""The latest complete window of each sensor, of all facilities that have sent recently.

What was read is remembered, so that only newer windows are read the next time. The latest window is
read again, since late readings may have changed it.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sensorpipe_schema.moments import Moments

from sensorpipe_server.storage.documents import id_range
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.queries import any_of
from sensorpipe_server.storage.reads.facility_list import FacilityEntry, read_entries
from sensorpipe_server.storage.reads.pages import Row, rows_where

SILENT_MS: Final = 300_000
"""Milliseconds after the end of its latest window for which a sensor is included."""

MAX_SERIES: Final = 10_000
"""Largest number of sensors, over all facilities."""

_TOGETHER: Final = 50
"""Number of facilities that share a query."""


class Latest(NamedTuple):
    """The latest complete window of a sensor."""

    end_ms: int
    """End of the window in unix milliseconds."""
    moments: Moments


@dataclass(slots=True)
class _Facility:
    """What is remembered of a facility."""

    read_ms: int = 0
    """Start of its latest complete window, in unix milliseconds, or of the first one to read."""
    sensors: dict[str, Latest] = field(default_factory=dict)


class LatestWindows:
    """Reads the latest complete windows; calls share a reading that is going on.

    At most MAX_SERIES sensors are included, in the order of facility and sensor.
    """

    def __init__(self, db: Database) -> None:
        self.left_out = 0
        """Number of facilities of which sensors are left out, because there are too many."""
        self._windows = database.windows(db)
        self._lists = database.facilities(db)
        self._facilities: dict[str, _Facility] = {}
        self._reading = asyncio.Lock()

    async def read(self, now_ms: int, complete_ms: int) -> list[tuple[str, str, Latest]]:
        """Return facility, sensor and latest window of each sensor, in alphabetical order.

        Both times are in unix milliseconds; windows that end after `complete_ms` are not complete.
        """
        async with self._reading:
            oldest_ms = now_ms - SILENT_MS
            entries = await read_entries(self._lists, with_sensors=False)
            recent = [each for each in entries if (each.last_end_ms or 0) > oldest_ms]
            included = await self._read_all(recent, oldest_ms, complete_ms)
            self._facilities = {name: self._facilities[name] for name in included}
            self.left_out = len(recent) - len(included)
            found = list(self._series(included))
            self.left_out += len(found) > MAX_SERIES
            return found[:MAX_SERIES]

    async def _read_all(
        self, facilities: Sequence[FacilityEntry], oldest_ms: int, complete_ms: int
    ) -> list[str]:
        """Read what is new of facilities; return the names of those up to the limit."""
        count = 0
        names: list[str] = []
        for at in range(0, len(facilities), _TOGETHER):
            some = facilities[at : at + _TOGETHER]
            await self._read_some(some, oldest_ms, complete_ms)
            for name, *_ in some:
                names.append(name)
                count += len(self._facilities[name].sensors)
                if count >= MAX_SERIES:
                    return names
        return names

    async def _read_some(
        self, facilities: Iterable[FacilityEntry], oldest_ms: int, complete_ms: int
    ) -> None:
        ranges = []
        for each in facilities:
            known = self._facilities.setdefault(each.name, _Facility())
            known.read_ms = max(known.read_ms, oldest_ms - each.length_ms)
            ranges.append({"_id": id_range(each.name, known.read_ms, complete_ms)})
        found = await rows_where(self._windows, any_of(ranges))
        for key in sorted(found):
            if key.end_ms <= complete_ms:
                self._take(found[key])
        for each in facilities:
            sensors = self._facilities[each.name].sensors
            for sensor in [name for name, last in sensors.items() if last.end_ms <= oldest_ms]:
                del sensors[sensor]

    def _take(self, row: Row) -> None:
        known = self._facilities[row.key.facility]
        known.read_ms = row.key.start_ms
        for sensor, moments in row.sensors.items():
            known.sensors[sensor] = Latest(row.key.end_ms, moments)

    def _series(self, names: Iterable[str]) -> Iterator[tuple[str, str, Latest]]:
        for name in names:
            for sensor, last in sorted(self._facilities[name].sensors.items()):
                yield name, sensor, last
