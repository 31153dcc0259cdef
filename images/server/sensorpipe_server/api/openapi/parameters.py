"""The parameters that several operations share."""

from typing import Final

from sensorpipe_schema.names import NAME_PATTERN, NAME_RULE

from sensorpipe_server.api.openapi.operation import Parameter, Schema

MAX_NAMES: Final = 500
"""Largest number of names in a list of a query."""

NAME: Final[Schema] = {"type": "string", "pattern": f"^{NAME_PATTERN}$"}
"""The name of a facility or of a sensor."""

NAMES: Final[Schema] = {"type": "array", "items": NAME, "minItems": 1, "maxItems": MAX_NAMES}
"""A list of names, joined by commas."""

_TIME: Final[Schema] = {"type": "string", "format": "date-time"}

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
    "Windows that start at this time or later, an RFC 3339 time; not after `to`.",
    _TIME,
    example="2026-11-27T10:00:00Z",
)

TO: Final = Parameter(
    "to",
    "Windows that start before this time, an RFC 3339 time.",
    _TIME,
    example="2026-11-27T11:00:00Z",
)
