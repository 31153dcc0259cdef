"""`GET /metrics/sensors`: the latest complete window of each sensor, as Prometheus metrics."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from prometheus_client.utils import floatToGoString
from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api import operations
from sensorpipe_server.api.params import Params
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.reads.latest import Latest, LatestWindows
from sensorpipe_server.storage.source_seqs import Settling

MEDIA_TYPE: Final = "text/plain; version=0.0.4"

AT_ONCE: Final = 1000
"""Number of sensors that are written before other tasks run: some 2 ms of work."""

Series = tuple[str, str, Latest]
"""A facility, a sensor, and its latest window."""


class Family(NamedTuple):
    """A gauge with a value for each sensor."""

    name: str
    help: str
    value: Callable[[Latest], float]


FAMILIES: Final = (
    Family(
        "sensorpipe_sensor_average",
        "Average of the readings of the latest complete window, in the sensor's unit.",
        lambda last: last.moments.mean,
    ),
    Family(
        "sensorpipe_sensor_minimum",
        "Lowest reading of the latest complete window, in the sensor's unit.",
        lambda last: last.moments.min,
    ),
    Family(
        "sensorpipe_sensor_maximum",
        "Highest reading of the latest complete window, in the sensor's unit.",
        lambda last: last.moments.max,
    ),
    Family(
        "sensorpipe_sensor_readings",
        "Number of readings of the latest complete window.",
        lambda last: last.moments.count,
    ),
    Family(
        "sensorpipe_sensor_window_end_timestamp_seconds",
        "Unix time of the end of the latest complete window.",
        lambda last: last.end_ms / 1000,
    ),
)
"""The metrics of each sensor, with the labels facility and sensor."""

LEFT_OUT: Final = "sensorpipe_sensor_facilities_left_out"
LEFT_OUT_HELP: Final = "Facilities of which sensors are left out, as 10,000 sensors are the most."


class SensorMetrics:
    """Answers the metrics of all sensors; a sensor without windows for 5 minutes is left out."""

    def __init__(
        self, db: Database, settling: Settling, clock: Callable[[], float] = time.time
    ) -> None:
        self._latest = LatestWindows(db)
        self._settling = settling
        self._clock = clock

    async def answer(self, request: Request) -> Response:
        """Answer in the text format of Prometheus."""
        params = Params(request, operations.SENSOR_METRICS, self._clock)
        params.check()
        complete_ms = self._settling.complete_ms(params.now_ms)
        found = await self._latest.read(params.now_ms, complete_ms)
        series = [each for each in found if params.granted.has(each[0])]
        text = await exposition(series, self._latest.left_out)
        return Response(text, headers={"Content-Type": f"{MEDIA_TYPE}; charset=utf-8"})


async def exposition(series: Sequence[Series], left_out: int) -> str:
    """Return the metrics; other tasks run meanwhile. Names need no escape: they are valid ones."""
    labels = [f'{{facility="{facility}",sensor="{sensor}"}}' for facility, sensor, _ in series]
    parts = []
    for name, described, value in FAMILIES:
        parts.append(f"# HELP {name} {described}\n# TYPE {name} gauge\n")
        for at in range(0, len(series), AT_ONCE):
            some = zip(labels[at : at + AT_ONCE], series[at : at + AT_ONCE], strict=True)
            parts += [
                f"{name}{label} {floatToGoString(value(last))}\n" for label, (_, _, last) in some
            ]
            await asyncio.sleep(0)
    parts.append(
        f"# HELP {LEFT_OUT} {LEFT_OUT_HELP}\n# TYPE {LEFT_OUT} gauge\n{LEFT_OUT} {left_out}\n"
    )
    return "".join(parts)
