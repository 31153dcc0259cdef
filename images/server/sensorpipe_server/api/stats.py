"""`GET /api/stats`: statistics of all readings of a time range, for each facility."""

from collections.abc import Sequence
from typing import Any, Final

from sensorpipe_schema.compacted_reading_pb2 import Rollup
from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api import operations
from sensorpipe_server.api.caching import Caching
from sensorpipe_server.api.http.answers import encoded, json
from sensorpipe_server.api.openapi.answers import SensorStats
from sensorpipe_server.api.params import Params
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.queries import WindowBatch, report_unreadable
from sensorpipe_server.storage.reads.facility_list import facilities
from sensorpipe_server.storage.reads.ranges import Ranges
from sensorpipe_server.storage.reads.reading import Span
from sensorpipe_server.storage.rollups.levels import Level
from sensorpipe_server.storage.rollups.totals import SensorTotal, Total

_QUANTILES: Final = (0.5, 0.95, 0.99)


class Stats:
    """Answers statistics: exact moments for any grouping, quantiles within 1 %."""

    def __init__(self, db: Database, caching: Caching) -> None:
        self._windows = database.windows(db)
        self._rollups = database.rollups(db)
        self._lists = database.facilities(db)
        self._ranges = Ranges(db)
        self._caching = caching

    async def answer(self, request: Request) -> Response:
        """Answer a list with one item for each facility that has any of the sensors."""
        params = Params(request, operations.STATS)
        sensors, facility = params.sensors(required=True), params.facility()
        start, end = params.span()
        params.check()
        named = [facility] if facility else []
        headers = await self._caching.headers(params.fixed_range, named, params.now_ms)
        all_names = named or await self._names(start, end)
        names = [each for each in all_names if params.granted.has(each)]
        found = await self._ranges.read(names, start, end, lambda: _Found(sensors), sensors=sensors)
        entries = (_entry(name, found.totals.get(name), sensors) for name in names)
        return json(await encoded(entry for entry in entries if len(entry) > 1), headers)

    async def _names(self, start_ms: int, end_ms: int) -> list[str]:
        found = await facilities(self._windows, self._rollups, self._lists)
        return [each.name for each in found if each.may_have(start_ms, end_ms)]


class _Found:
    """Sums up the readings of some sensors, by facility."""

    def __init__(self, sensors: Sequence[str]) -> None:
        self.totals: dict[str, Total] = {}
        self._sensors = frozenset(sensors)

    def take_rollup(self, span: Span, _level: Level, rollup: Rollup, *, finest: bool) -> bool:  # noqa: ARG002
        """Add a rollup."""
        self._of(span.facility).add_rollup(rollup)
        return True

    def take_windows(self, batch: WindowBatch) -> None:
        """Add windows."""
        for window in batch.windows:
            total = self._of(window.key.facility)
            before = total.unreadable
            total.add_window(window)
            if total.unreadable > before:
                report_unreadable()

    def _of(self, facility: str) -> Total:
        total = self.totals.get(facility)
        if total is None:
            total = self.totals[facility] = Total(self._sensors, sources=False)
        return total


def _entry(facility: str, total: Total | None, sensors: Sequence[str]) -> dict[str, Any]:
    entry: dict[str, Any] = {"_id": facility}
    if total is not None:
        found = ((name, total.sensors.get(name)) for name in sensors)
        entry |= {name: _statistics(one) for name, one in found if one is not None}
    return entry


def _statistics(total: SensorTotal) -> SensorStats:
    moments = total.moments
    p50, p95, p99 = (
        min(max(value, moments.min), moments.max) for value in total.sketch.quantiles(*_QUANTILES)
    )
    return SensorStats(
        stdev=moments.stdev,
        avg=moments.mean,
        min=moments.min,
        max=moments.max,
        count=moments.count,
        p50=p50,
        p95=p95,
        p99=p99,
    )
