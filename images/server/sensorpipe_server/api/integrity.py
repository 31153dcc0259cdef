"""`GET /api/integrity`: whether every reading was counted exactly once."""

from collections.abc import Mapping
from typing import Any

from sensorpipe_schema.intervals import Audit, IntervalSet
from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api.answers import json
from sensorpipe_server.api.facilities import sensors_by_facility
from sensorpipe_server.api.params import Params
from sensorpipe_server.api.reads import in_batches
from sensorpipe_server.database import Collection
from sensorpipe_server.documents import id_range


class Ledger:
    """The `seq` of one source, stored so far: memory by gaps, not by readings."""

    def __init__(self) -> None:
        self._union = IntervalSet()
        self._count = 0

    def add(self, bounds: list[int]) -> int:
        """Add intervals as they are stored; return how many readings they hold."""
        held = sum(bounds[1::2]) - sum(bounds[::2]) + len(bounds) // 2
        for first, last in zip(bounds[::2], bounds[1::2], strict=True):
            self._union.add_range(first, last)
        self._count += held
        return held

    def audit(self) -> Audit:
        """Return the same as `Audit.of` all intervals: gaps are lost, overlaps duplicates."""
        union = Audit.of(list(self._union))
        duplicates = self._count - union.count
        return Audit(union.first, union.last, self._count, union.lost, duplicates)


class Integrity:
    """Answers the audit of every source."""

    def __init__(self, windows: Collection, facilities: Collection) -> None:
        self._windows = windows
        self._facilities = facilities

    async def answer(self, request: Request) -> Response:
        """Answer a line for each facility, sensor and source, and the totals."""
        params = Params(request, "facility")
        facility = params.facility()
        params.check()
        data: list[dict[str, Any]] = []
        unidentified = 0
        for name, sensors in (await sensors_by_facility(self._facilities)).items():
            if facility in (None, name):
                lines, foreign = await self._of(name, sensors)
                data += lines
                unidentified += foreign
        return json({"data": data, "totals": totals(data, unidentified)})

    async def _of(self, facility: str, sensors: list[str]) -> tuple[list[dict[str, Any]], int]:
        """Return the lines of a facility and how many of its readings had no identity.

        Newest first: what a source sent later is stored later, so a window that arrives
        meanwhile cannot look as if those before it were missing.
        """
        ledgers: dict[tuple[str, str], Ledger] = {}
        unidentified = 0
        unread = {f"sensors.{name}.sketches": 0 for name in sensors}
        condition = {"_id": id_range(facility)}
        async for batch in in_batches(self._windows, condition, unread, newest_first=True):
            for document in batch:
                for name, summary in document["sensors"].items():
                    unidentified += summary["count"]
                    for source in summary["sources"]:
                        ledger = ledgers.setdefault((name, source["src"]), Ledger())
                        unidentified -= ledger.add(source["seq"])
        lines = [_line(facility, *key, ledgers[key].audit()) for key in sorted(ledgers)]
        return lines, unidentified


def totals(data: list[dict[str, Any]], unidentified: int) -> Mapping[str, int]:
    """Add up the lines."""
    summed = {key: sum(line[key] for line in data) for key in ("count", "lost", "duplicates")}
    return {**summed, "unidentified": unidentified, "sources": len(data)}


def _line(facility: str, sensor: str, src: str, audit: Audit) -> dict[str, Any]:
    return {
        "facility": facility,
        "sensor": sensor,
        "src": src,
        "first": audit.first,
        "last": audit.last,
        "count": audit.count,
        "lost": audit.lost,
        "duplicates": audit.duplicates,
    }
