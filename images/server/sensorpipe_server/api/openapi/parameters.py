"""The parameters that several operations share."""

from typing import Final

from sensorpipe_schema.names import NAME_PATTERN, NAME_RULE

from sensorpipe_server.api.openapi.operation import Parameter, Schema
from sensorpipe_server.api.times import FIRST_SECOND, TIME_RULE
from sensorpipe_server.storage.documents import END_OF_TIME_MS

MAX_NAMES: Final = 500
"""Largest number of names in a list of a query."""

NAME: Final[Schema] = {"type": "string", "pattern": f"^{NAME_PATTERN}$"}
"""The name of a facility or of a sensor."""

NAMES: Final[Schema] = {"type": "array", "items": NAME, "minItems": 1, "maxItems": MAX_NAMES}
"""A list of names, joined by commas."""

_RELATIVE: Final = "([0-9]{1,9}s|[0-9]{1,7}m|[0-9]{1,5}h|[0-9]{1,4}d|[0-9]{1,3}w)"

_TIME: Final[Schema] = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "date"},
        {"type": "string", "pattern": f"^(now|(now)?-{_RELATIVE})$"},
        {"type": "integer", "minimum": FIRST_SECOND, "maximum": END_OF_TIME_MS - 1},
    ]
}

FACILITY: Final = Parameter(
    "facility", f"One facility; all if it is left out. A name is {NAME_RULE}.", NAME
)

PATH_FACILITY: Final = Parameter(
    "facility", f"The facility: {NAME_RULE}.", NAME, where="path", required=True, example="hall_1"
)

SENSORS: Final = Parameter(
    "sensors",
    f"Names of sensors, separated by commas, {MAX_NAMES} at most; all if it is left out.",
    NAMES,
    example="temperature,humidity",
)

REQUIRED_SENSORS: Final = Parameter(
    "sensors",
    f"Names of sensors, separated by commas, {MAX_NAMES} at most.",
    NAMES,
    required=True,
    example="temperature,humidity",
)

FROM: Final = Parameter(
    "from",
    f"Windows that start at this time or later, and not after `to`: {TIME_RULE}.",
    _TIME,
    example="2026-11-27T10:00:00Z",
)

TO: Final = Parameter(
    "to",
    f"Windows that start before this time: {TIME_RULE}.",
    _TIME,
    example="2026-11-27T11:00:00Z",
)
