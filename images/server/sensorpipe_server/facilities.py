"""Which sensors each facility has ever had: noted before the first window that has them."""

from collections.abc import Iterable
from typing import Any, Final

from pymongo import UpdateOne

from sensorpipe_server.database import Collection
from sensorpipe_server.window import Window

REMEMBERED: Final = 100_000
"""Facilities with their sensors; beyond that the memory starts anew, which costs some writes."""

LISTED: Final = 10_000
"""Sensors that are listed of one facility; the windows of all others are stored all the same."""


class Facilities:
    """Notes new facilities and sensors, and remembers which it has noted."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._known: set[tuple[str, ...]] = set()

    async def note(self, windows: Iterable[Window]) -> None:
        """Store what is new in these windows."""
        new: set[tuple[str, ...]] = set()
        for window in windows:
            for part in window.parts:
                if part.series not in self._known:
                    new.add(part.series)
        if not new:
            return
        sensors: dict[str, set[str]] = {}
        for facility, *names in new:
            sensors.setdefault(facility, set()).update(names)
        await self._collection.bulk_write(
            [
                UpdateOne({"_id": facility}, _listing(sorted(names)), upsert=True)
                for facility, names in sensors.items()
            ],
            ordered=False,
        )
        if len(self._known) > REMEMBERED:
            self._known.clear()
        self._known |= new

    def forget(self) -> None:
        """Note everything again, for the database may have lost it."""
        self._known.clear()


def _listing(names: list[str]) -> list[dict[str, Any]]:
    """Return an update that appends the names not listed yet, as far as the bound allows.

    Without a bound the document outgrows MongoDB's 16 MiB, and no batch that has a new
    sensor of this facility could be stored again. Names listed already are kept.
    """
    held = {"$ifNull": ["$sensors", []]}
    new = {"$setDifference": [{"$literal": names}, held]}
    bound = {"$max": [LISTED, {"$size": held}]}
    return [{"$set": {"sensors": {"$slice": [{"$concatArrays": [held, new]}, bound]}}}]
