"""The table of the API's operations: path, parameters and answer of each.

An endpoint is added here, as one Operation, and with its code in `routes.py`. The code reads its
query by `Params(request, operations.NAME)`, which refuses every parameter that is not declared.
"""

from typing import Final

from sensorpipe_server.api.openapi import examples
from sensorpipe_server.api.openapi.answers import Facilities, FacilityStats, Integrity, Windows
from sensorpipe_server.api.openapi.operation import JSON, Operation, Parameter
from sensorpipe_server.api.openapi.parameters import (
    FACILITY,
    FROM,
    PATH_FACILITY,
    REQUIRED_SENSORS,
    SENSORS,
    TO,
)

MAX_OFFSET: Final = 2**63 - 1
"""Largest number of windows that a query can skip."""

WINDOWS: Final = Operation(
    "/api/sensors/{facility}",
    "getWindows",
    "Stored windows of a facility, newest first",
    {JSON: Windows},
    (
        PATH_FACILITY,
        Parameter(
            "offset",
            "Number of windows to skip.",
            {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
        ),
        Parameter(
            "limit",
            "Largest number of windows of a page; 0 means the default, which is also the maximum "
            "and set by `SENSORPIPE_PAGE_LIMIT`.",
            {"type": "integer", "minimum": 0},
        ),
        FROM,
        TO,
        SENSORS,
        Parameter(
            "cursor",
            "Empty for the first page, then the `next` of the previous answer; not together with "
            "`offset`.",
            {"type": "string", "pattern": "^[A-Za-z0-9_-]*$"},
            example="",
        ),
    ),
    examples={JSON: examples.WINDOWS},
)

STATS: Final = Operation(
    "/api/stats",
    "getStats",
    "Statistics of all readings of a time range, for each facility",
    {JSON: list[FacilityStats]},
    (REQUIRED_SENSORS, FROM, TO, FACILITY),
    examples={JSON: examples.STATS},
)

FACILITIES: Final = Operation(
    "/api/facilities",
    "getFacilities",
    "The facilities, with their sensors and their last window",
    {JSON: Facilities},
    examples={JSON: examples.FACILITIES},
)

INTEGRITY: Final = Operation(
    "/api/integrity",
    "getIntegrity",
    "Whether every reading was counted exactly once",
    {JSON: Integrity},
    (FACILITY,),
)

OPENAPI: Final = Operation(
    "/openapi.json",
    "getOpenApi",
    "This API, as an OpenAPI 3.1 document",
    {JSON: {"type": "object"}},
)

SENSOR_METRICS: Final = Operation(
    "/metrics/sensors",
    "getSensorMetrics",
    "The latest complete window of each sensor, as Prometheus metrics",
    {"text/plain": {"type": "string"}},
    description=(
        "Gauges with the labels `facility` and `sensor`, of 10,000 sensors at most. A sensor "
        "without windows for 5 minutes is left out."
    ),
)
