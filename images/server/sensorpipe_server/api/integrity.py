"""`GET /api/integrity`: whether every reading was counted exactly once."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from sensorpipe_schema.intervals import Audit, Interval, IntervalSet
from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api.answers import json
from sensorpipe_server.api.facilities import sensors_by_facility
from sensorpipe_server.api.params import Params
from sensorpipe_server.api.reads import fields_of, in_batches
from sensorpipe_server.database import Collection
from sensorpipe_server.documents import id_range

SETTLE_SECONDS: Final = 0.5
"""Between two looks at a gap: a batch that was in the midst of being stored is stored by then."""

_FIELDS: Final = ("count", "sources")


class Ledger:
    """The `seq` of one source: memory by gaps, not by readings."""

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

    def gaps(self) -> Iterator[Interval]:
        """Yield what is missing from 1 to the last: every source begins at 1."""
        held = list(self._union)
        if held and held[0][0] > 1:
            yield 1, held[0][0] - 1
        for (_, last), (first, _) in pairwise(held):
            yield last + 1, first - 1

    def audit(self) -> Audit:
        """Return the same as `Audit.of` all intervals: gaps are lost, overlaps duplicates."""
        union = Audit.of(list(self._union))
        duplicates = self._count - union.count
        return Audit(union.first, union.last, self._count, union.lost, duplicates)


class Scan:
    """One look at all windows of a facility."""

    def __init__(self) -> None:
        self.ledgers: dict[tuple[str, str], Ledger] = {}
        self.unidentified = 0

    def add(self, sensors: dict[str, Any]) -> None:
        """Add the sensors of a window."""
        for name, summary in sensors.items():
            self.unidentified += summary["count"]
            for source in summary["sources"]:
                ledger = self.ledgers.setdefault((name, source["src"]), Ledger())
                self.unidentified -= ledger.add(source["seq"])

    @property
    def has_gaps(self) -> bool:
        """Whether anything is missing."""
        return any(True for ledger in self.ledgers.values() for _ in ledger.gaps())

    def lines(self, facility: str, before: "Scan | None") -> list[dict[str, Any]]:
        """Return the lines of the answer; lost is only what was missing before, too."""
        lines = []
        for (sensor, src), ledger in sorted(self.ledgers.items()):
            audit = ledger.audit()
            earlier = before.ledgers.get((sensor, src), Ledger()) if before else ledger
            lines.append(
                {
                    "facility": facility,
                    "sensor": sensor,
                    "src": src,
                    "first": audit.first,
                    "last": audit.last,
                    "count": audit.count,
                    "lost": in_both(list(earlier.gaps()), list(ledger.gaps())),
                    "duplicates": audit.duplicates,
                }
            )
        return lines


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
            if facility not in (None, name):
                continue
            before, scan = None, await self._scan(name, sensors)
            if scan.has_gaps:
                await asyncio.sleep(SETTLE_SECONDS)
                before, scan = scan, await self._scan(name, sensors)
            data += scan.lines(name, before)
            unidentified += scan.unidentified
        summed = {key: sum(line[key] for line in data) for key in ("count", "lost", "duplicates")}
        totals = {**summed, "unidentified": unidentified, "sources": len(data)}
        return json({"data": data, "totals": totals})

    async def _scan(self, facility: str, sensors: list[str]) -> Scan:
        """Look at every window, the newest first.

        What a source sent later is stored later, as a rule: so a window that arrives
        meanwhile does not make it look as if those before it were missing.
        """
        scan = Scan()
        wanted = fields_of(sensors, *_FIELDS)
        condition = {"_id": id_range(facility)}
        async for batch in in_batches(self._windows, condition, wanted, newest_first=True):
            for document in batch:
                scan.add(document["sensors"])
        return scan


def in_both(some: list[Interval], others: list[Interval]) -> int:
    """Return how many numbers are in an interval of each of two sorted lists."""
    total = at = 0
    for first, last in some:
        while at < len(others) and others[at][1] < first:
            at += 1
        for low, high in others[at:]:
            if low > last:
                break
            total += min(last, high) - max(first, low) + 1
    return total
