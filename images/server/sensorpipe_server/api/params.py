"""Parameters of requests; all problems of a request are reported together."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from sensorpipe_schema.names import NAME_RULE, is_name
from starlette.requests import Request

from sensorpipe_server.api.http.problems import InvalidRequestError
from sensorpipe_server.api.openapi.operation import Operation
from sensorpipe_server.api.openapi.parameters import MAX_NAMES
from sensorpipe_server.api.operations import MAX_OFFSET
from sensorpipe_server.storage.documents import END_OF_TIME_MS, WindowKey

T = TypeVar("T")

MAX_PARAMETERS: Final = 20
"""Largest number of parameters of a query, unknown ones included."""

TIME_RULE: Final = "an RFC 3339 time such as 2026-01-02T03:04:05Z"

NO_SENSOR: Final = "At least one valid sensor name must be provided"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_time_parts = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+ -]\d\d:\d\d)", re.ASCII
).fullmatch
_is_place = re.compile(r"\d{15}/\d{1,15}", re.ASCII).fullmatch


class Params:
    """Reads the query of a request; `check()` raises InvalidRequestError if anything is wrong.

    Allowed are the parameters that the operation declares. The constructor raises
    InvalidRequestError where there are too many of them to read.
    """

    def __init__(self, request: Request, operation: Operation) -> None:
        parameters = request.url.query.count("&") + 1
        if parameters > MAX_PARAMETERS:
            error = f"Invalid query: at most {MAX_PARAMETERS} parameters; got {parameters}"
            raise InvalidRequestError([error])
        allowed = operation.query_names
        self._query = request.query_params
        self._errors: list[str] = []
        for name in self._query:
            if name not in allowed:
                known = ", ".join(allowed) or "none"
                self._errors.append(f"Unknown parameter {name!r}: allowed are {known}")
            elif len(self._query.getlist(name)) > 1:
                self._errors.append(f"Invalid {name}: must be given once")

    def check(self) -> None:
        """Raise InvalidRequestError with all problems, if there are any."""
        if self._errors:
            raise InvalidRequestError(self._errors)

    def has(self, name: str) -> bool:
        """Whether the request has this parameter."""
        return name in self._query

    def offset(self) -> int:
        """Return the number of windows to skip."""
        return self._parse("offset", 0, lambda text: _whole(text, MAX_OFFSET))

    def limit(self, highest: int) -> int:
        """Return the largest number of windows to answer with; 0 means `highest`."""
        return self._parse("limit", highest, lambda text: _whole(text, highest)) or highest

    def span(self) -> tuple[int, int]:
        """Return `from` and `to` in unix milliseconds, limited to times of windows."""
        start = self._parse("from", None, parse_time_ms)
        end = self._parse("to", None, parse_time_ms)
        if start is not None and end is not None and start > end:
            self._errors.append(
                f"Invalid from: must not be after to; got {self._query['from']!r}"
                f" and {self._query['to']!r}"
            )
        low = 0 if start is None else start
        high = END_OF_TIME_MS if end is None else end
        return tuple(min(max(bound, 0), END_OF_TIME_MS) for bound in (low, high))  # type: ignore[return-value]  # two

    def sensors(self, *, required: bool) -> list[str]:
        """Return sensor names; an empty list means all sensors."""
        text = self._query.get("sensors")
        if text is None and not required:
            return []
        names = [name.strip() for name in (text or "").split(",") if name.strip()]
        if len(names) > MAX_NAMES:
            self._errors.append(f"Invalid sensors: at most {MAX_NAMES} names; got {len(names)}")
            return []
        bad = [name for name in names if not is_name(name)]
        if len(bad) == len(names):
            self._errors.append(NO_SENSOR)
        elif bad:
            self._errors.append(f"Invalid sensors: each must be {NAME_RULE}; got {bad[0]!r}")
        return list(dict.fromkeys(names))

    def facility(self, text: str | None = None) -> str | None:
        """Return the name of a facility, from `text` or else from the query."""
        name = self._query.get("facility") if text is None else text
        if name is not None and not is_name(name):
            self._errors.append(f"Invalid facility: must be {NAME_RULE}; got {name!r}")
        return name

    def cursor(self) -> str | None:
        """Return the place after which a page begins; "" for the newest window."""
        if self.has("cursor") and self.has("offset"):
            self._errors.append("Invalid cursor: must not be given together with offset")
        return self._parse("cursor", None, read_cursor)

    def _parse(self, name: str, default: T, parser: Callable[[str], T]) -> T:
        text = self._query.get(name)
        if text is None:
            return default
        try:
            return parser(text)
        except ValueError as error:
            self._errors.append(f"Invalid {name}: {error}")
            return default


def write_cursor(key: WindowKey) -> str:
    """Return a cursor for the page after a window."""
    _, _, place = str(key).partition("/")
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def read_cursor(text: str) -> str:
    """Return the place that `write_cursor` wrote, or raise ValueError."""
    try:
        place = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        place = "?"
    if text and not _is_place(place):
        raise ValueError(f"must be empty or the `next` of an answer; got {text!r}")
    return place


def _whole(text: str, highest: int) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f"must be a non-negative integer; got {text!r}")
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(highest)) or int(digits) > highest:
        raise ValueError(f"must be at most {highest}; got {text!r}")
    return int(digits)


def parse_time_ms(text: str) -> int:
    """Return unix milliseconds, a fraction of one rounded up, or raise ValueError.

    In a query string an unescaped `+` means a space, so the offset `+02:00` arrives as in
    `03:04:05 02:00`, which has no other meaning.
    """
    parts = _time_parts(text)
    if parts is None:
        raise ValueError(f"must be {TIME_RULE}; got {text!r}")
    day, clock, fraction, zone = parts.groups()
    zone = "+00:00" if zone in "Zz" else zone.replace(" ", "+")
    try:
        time = datetime.fromisoformat(f"{day}T{clock}{zone}")
        since = time - _EPOCH
    except (ValueError, OverflowError) as error:
        raise ValueError(f"must be {TIME_RULE}; got {text!r}: {error}") from error
    digits = f"{fraction or ''}000"
    milliseconds = int(digits[:3]) + (int(f"0{digits[3:]}") > 0)
    return since // timedelta(milliseconds=1) + milliseconds
