"""`GET /api/stats`: statistics of all readings of a time range, for each facility."""

from collections.abc import Mapping
from typing import Any

from sensorpipe_schema.moments import Moments
from sensorpipe_schema.sketch import Sketch
from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api.answers import json
from sensorpipe_server.api.facilities import facility_names
from sensorpipe_server.api.params import Params
from sensorpipe_server.api.reads import in_batches
from sensorpipe_server.api.sensors import condition_of
from sensorpipe_server.database import Collection
from sensorpipe_server.merge import total_sketch


class Total:
    """The readings of one sensor in many windows."""

    def __init__(self) -> None:
        self._moments: Moments | None = None
        self._sketch = Sketch()

    def add(self, summary: Mapping[str, Any]) -> None:
        """Add a stored summary."""
        moments = Moments(
            summary["count"], summary["mean"], summary["m2"], summary["min"], summary["max"]
        )
        self._moments = moments if self._moments is None else self._moments.merge(moments)
        self._sketch.merge(total_sketch(summary["sketches"]))

    def answer(self) -> dict[str, float] | None:
        """Return the statistics; None where there was nothing."""
        moments = self._moments
        if moments is None:
            return None
        percentiles = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
        return {
            "stdev": moments.stdev,
            "avg": moments.mean,
            "min": moments.min,
            "max": moments.max,
            "count": moments.count,
        } | {
            name: min(max(self._sketch.quantile(q), moments.min), moments.max)
            for name, q in percentiles.items()
        }


class Stats:
    """Answers statistics: exact moments for any grouping, quantiles within 1 %."""

    def __init__(self, windows: Collection, facilities: Collection) -> None:
        self._windows = windows
        self._facilities = facilities

    async def answer(self, request: Request) -> Response:
        """Answer a list with one item for each facility that has any of the sensors."""
        params = Params(request, "sensors", "from", "to", "facility")
        sensors, facility = params.sensors(required=True), params.facility()
        start, end = params.span()
        params.check()
        names = await facility_names(self._facilities) if facility is None else [facility]
        found = [await self._of(name, sensors, start, end) for name in names]
        return json([entry for entry in found if len(entry) > 1])

    async def _of(
        self, facility: str, sensors: list[str], start_ms: int, end_ms: int
    ) -> dict[str, Any]:
        totals = {name: Total() for name in sensors}
        condition = condition_of(facility, start_ms, end_ms, sensors)
        fields = ("count", "mean", "m2", "min", "max", "sketches")
        projection = {f"sensors.{name}.{field}": 1 for name in sensors for field in fields}
        async for batch in in_batches(self._windows, condition, projection):
            for document in batch:
                for name, summary in document["sensors"].items():
                    totals[name].add(summary)
        answers = {name: total.answer() for name, total in totals.items()}
        return {"_id": facility} | {name: a for name, a in answers.items() if a is not None}
