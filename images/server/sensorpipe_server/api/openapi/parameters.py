"""The parameters that several operations share."""

from typing import Final

from sensorpipe_schema.names import NAME_PATTERN, NAME_RULE

from sensorpipe_server.api.openapi.operation import Parameter, Schema
from sensorpipe_server.api.times import FIRST_SECOND, TIME_RULE
from sensorpipe_server.storage.documents import END_OF_TIME_MS

MAX_NAMES: Final = 500
"""Largest number of names in a list of a query."""

_RELATIVE: Final = "([0-9]{1,9}s|[0-9]{1,7}m|[0-9]{1,5}h|[0-9]{1,4}d|[0-9]{1,3}w)"

SCHEMAS: Final[dict[str, Schema]] = {
    "Name": {"type": "string", "pattern": f"^{NAME_PATTERN}$", "description": f"{NAME_RULE}."},
    "Pattern": {
        "type": "string",
        "pattern": f"^({NAME_PATTERN}|[a-z0-9_-]*\\*[a-z0-9_*-]*)$",
        "maxLength": 128,
        "description": "A name, or a part of one with `*` for any characters or none.",
    },
    "Time": {
        "description": f"{TIME_RULE}.",
        "anyOf": [
            {"type": "string", "format": "date-time"},
            {"type": "string", "format": "date"},
            {"type": "string", "pattern": f"^(now|(now)?-{_RELATIVE})$"},
            {"type": "number", "minimum": FIRST_SECOND, "exclusiveMaximum": END_OF_TIME_MS},
            {"const": 0},
        ],
    },
}
"""Components of the document: the values of parameters."""

NAME: Final[Schema] = {"$ref": "#/components/schemas/Name"}
"""The name of a facility or of a sensor."""

NAMES: Final[Schema] = {"type": "array", "items": NAME, "minItems": 1, "maxItems": MAX_NAMES}
"""A list of names, joined by commas."""

PATTERNS: Final[Schema] = {
    "type": "array",
    "items": {"$ref": "#/components/schemas/Pattern"},
    "minItems": 1,
    "maxItems": MAX_NAMES,
}
"""A list of names and patterns, joined by commas."""

TIME: Final[Schema] = {"$ref": "#/components/schemas/Time"}

FACILITY: Final = Parameter("facility", "One facility; all if it is left out.", NAME)

FACILITY_PATTERNS: Final = Parameter(
    "facility",
    f"Names and patterns, separated by commas, {MAX_NAMES} at most; all if it is left out.",
    PATTERNS,
    example=["hall_1", "hall_2-*"],
)

PATH_FACILITY: Final = Parameter(
    "facility", "The facility.", NAME, where="path", required=True, example="hall_1"
)

SENSORS: Final = Parameter(
    "sensors",
    "Names of sensors, separated by commas; all if it is left out.",
    NAMES,
    example=["temperature", "humidity"],
)

REQUIRED_SENSORS: Final = Parameter(
    "sensors",
    "Names of sensors, separated by commas.",
    NAMES,
    required=True,
    example=["temperature", "humidity"],
)

FROM: Final = Parameter(
    "from",
    "Windows that start at this time or later; not after `to`.",
    TIME,
    example="2026-11-27T10:00:00Z",
)

TO: Final = Parameter(
    "to",
    "Windows that start before this time.",
    TIME,
    example="2026-11-27T11:00:00Z",
)
