"""The table of the API's operations: path, parameters and answer of each.

An endpoint is added here, as one Operation, and with its code in `routes.py`. The code reads its
query by `Params(request, operations.NAME)`, which refuses every parameter that is not declared and
every facility that is not granted; where none is named, it answers with `Params.granted` only.
"""

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from sensorpipe_server.access.rules import ADMIN, METRICS, READ
from sensorpipe_server.api.openapi import examples
from sensorpipe_server.api.openapi.answers import (
    EVENT,
    DeadLetters,
    Facilities,
    FacilityStats,
    Integrity,
    Series,
    Windows,
)
from sensorpipe_server.api.openapi.operation import EVENTS, JSON, Operation, Parameter
from sensorpipe_server.api.openapi.parameters import (
    FACILITY,
    FACILITY_PATTERNS,
    FROM,
    PATH_FACILITY,
    REQUIRED_SENSORS,
    SENSORS,
    TO,
)

FIELDS: Final = ("avg", "min", "max", "count", "stdev", "p50", "p95", "p99")
"""The fields of a series that can be asked for."""

POINTS: Final = 1000
"""Default of the number of buckets that a series may have."""

MAX_POINTS: Final = 100_000
"""Largest number of buckets that can be asked for."""

LETTERS: Final = 50
"""Default of the number of dead letters of an answer."""

MAX_LETTERS: Final = 200
"""Largest number of dead letters that can be asked for."""

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
    scope=READ,
)

STATS: Final = Operation(
    "/api/stats",
    "getStats",
    "Statistics of all readings of a time range, for each facility",
    {JSON: list[FacilityStats]},
    (REQUIRED_SENSORS, FROM, TO, FACILITY),
    examples={JSON: examples.STATS},
    scope=READ,
)

SERIES: Final = Operation(
    "/api/series",
    "getSeries",
    "What sensors measured over time, in buckets of equal length, oldest first",
    {JSON: Series, "text/csv": {"type": "string"}, "application/x-ndjson": {"type": "string"}},
    (
        FACILITY_PATTERNS,
        SENSORS,
        replace(
            FROM,
            description="Buckets that end after this time, which is not after `to`; by default 24 "
            "hours before it.",
        ),
        replace(
            TO,
            description="Buckets that start before this time.",
            schema={**TO.schema, "default": "now"},
        ),
        Parameter(
            "every",
            "Length of a bucket, a multiple of the length of the windows; `auto` is the shortest "
            "that gives at most `points` buckets. It is longer if retention has removed windows "
            "of the range.",
            {
                "type": "string",
                "pattern": "^(auto|[1-9][0-9]{0,3}(s|m|h|d))$",
                "default": "auto",
            },
            example="5m",
        ),
        Parameter(
            "points",
            "Largest number of buckets with `every=auto`, and only with it.",
            {"type": "integer", "minimum": 1, "maximum": MAX_POINTS, "default": POINTS},
        ),
        Parameter(
            "fields",
            "The values of a row, separated by commas, in this order.",
            {
                "type": "array",
                "items": {"enum": FIELDS},
                "minItems": 1,
                "default": ["avg", "min", "max", "count"],
            },
            example=["avg", "p95"],
        ),
        Parameter(
            "format",
            "The form of the answer; without it, the header `Accept` chooses. `spreadsheet` is CSV "
            "with times in UTC as spreadsheets read them.",
            {"enum": ["json", "csv", "ndjson", "spreadsheet"], "default": "json"},
        ),
        Parameter(
            "complete",
            "Whether rows that are not `complete` are left out.",
            {"type": "boolean", "default": False},
        ),
    ),
    problems={
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
            "The answer would have more than 1,000,000 rows; the problem names a longer `every`."
        ),
    },
    headers={
        "Sensorpipe-Every": "The length of the buckets.",
        "Sensorpipe-From": "The start of the first bucket that was asked for.",
        "Sensorpipe-To": "The end of the last bucket that was asked for.",
    },
    examples={
        JSON: examples.SERIES,
        "text/csv": examples.SERIES_CSV,
        "application/x-ndjson": examples.SERIES_LINES,
    },
    scope=READ,
)

FACILITIES: Final = Operation(
    "/api/facilities",
    "getFacilities",
    "The facilities, with their sensors and their last window",
    {JSON: Facilities},
    examples={JSON: examples.FACILITIES},
    scope=READ,
)

INTEGRITY: Final = Operation(
    "/api/integrity",
    "getIntegrity",
    "Whether every reading was counted exactly once",
    {JSON: Integrity},
    (FACILITY,),
    scope=READ,
)

DEAD_LETTERS: Final = Operation(
    "/api/dead-letters",
    "getDeadLetters",
    "Messages that could not be used, and why, newest first",
    {JSON: DeadLetters},
    (
        Parameter(
            "limit",
            "Largest number of dead letters.",
            {"type": "integer", "minimum": 1, "maximum": MAX_LETTERS, "default": LETTERS},
        ),
        Parameter(
            "reason",
            "Only those with this reason.",
            {"type": "string", "pattern": "^[a-z0-9_]{1,64}$"},
            example="not_json",
        ),
        Parameter(
            "feed",
            "Only those of this Feed.",
            {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$"},
            example="zigbee",
        ),
    ),
    description=(
        "Both topics of dead letters are read from their ends backwards until there are enough, "
        "over at most 20,000 messages, 32 MiB and 5 s; `since` says how far back."
    ),
    examples={JSON: examples.DEAD_LETTERS},
    scope=ADMIN,
)

LIVE: Final = Operation(
    "/api/live",
    "getLive",
    "Windows as they are stored, as server-sent events",
    {EVENTS: EVENT},
    (
        FACILITY_PATTERNS,
        SENSORS,
        Parameter(
            "Last-Event-ID",
            "The `id` of the last event that was received; the stream goes on behind it.",
            {"type": "string"},
            where="header",
            example="6a2827e400000003-1",
        ),
    ),
    description=(
        "An event `window` has an item of `/api/sensors` as its data; a window that grows is sent "
        "again. An event `gap` says that some were missed, with the `reason`: read them from "
        "`/api/series`. A comment comes every 15 s."
    ),
    problems={
        HTTPStatus.NOT_IMPLEMENTED: (
            "MongoDB is not a replica set, or does not allow change streams: poll `/api/series` "
            "instead."
        )
    },
    scope=READ,
)

OPENAPI: Final = Operation(
    "/openapi.json",
    "getOpenApi",
    "This API, as an OpenAPI 3.1 document",
    {JSON: {"type": "object"}},
    scope=None,
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
    scope=METRICS,
)
