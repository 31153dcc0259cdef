"""Parameters of requests; all problems of a request are reported together."""

import base64
import binascii
import re
import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from sensorpipe_schema.names import NAME_RULE, is_name
from starlette.requests import Request

from sensorpipe_server.api.access.guard import caller_of
from sensorpipe_server.api.http.problems import ForbiddenError, InvalidRequestError
from sensorpipe_server.api.openapi.operation import Operation
from sensorpipe_server.api.openapi.parameters import MAX_NAMES
from sensorpipe_server.api.operations import LETTERS, MAX_LETTERS, MAX_OFFSET
from sensorpipe_server.api.times import FixedRange, Time, parse_time
from sensorpipe_server.storage.documents import END_OF_TIME_MS, WindowKey
from sensorpipe_server.storage.reads.extents import Choice

T = TypeVar("T")

MAX_PARAMETERS: Final = 20
"""Largest number of parameters of a query, unknown ones included."""

NO_SENSOR: Final = "At least one valid sensor name must be provided"

_is_pattern = re.compile(r"[a-z0-9_*-]{1,128}", re.ASCII).fullmatch
_is_place = re.compile(r"\d{15}/\d{1,15}", re.ASCII).fullmatch


class Params:
    """Reads the query of a request; `check()` raises InvalidRequestError if anything is wrong.

    It raises ForbiddenError if a facility is named that is not granted.
    Allowed are the parameters that the operation declares. The constructor raises
    InvalidRequestError where there are too many of them to read. The clock, in unix seconds, is
    read once, so that all times of a request are relative to the same one.
    """

    def __init__(
        self, request: Request, operation: Operation, clock: Callable[[], float] = time.time
    ) -> None:
        parameters = request.url.query.count("&") + 1
        if parameters > MAX_PARAMETERS:
            error = f"Invalid query: at most {MAX_PARAMETERS} parameters; got {parameters}"
            raise InvalidRequestError([error])
        allowed = operation.query_names
        self._patterns = {
            each.name: str(each.schema["pattern"])
            for each in operation.parameters
            if "pattern" in each.schema
        }
        self.now_ms = int(clock() * 1000)
        """When the request came, in unix milliseconds."""
        self.fixed_range: FixedRange | None = None
        """The range of `span`, if the request has both bounds and none depends on `now_ms`."""
        self.granted = caller_of(request.scope).facilities
        """The facilities that the sender of the request may read."""
        self._query = request.query_params
        self._errors: list[str] = []
        self._forbidden: list[str] = []
        for name in self._query:
            if name not in allowed:
                known = ", ".join(allowed) or "none"
                self._errors.append(f"Unknown parameter {name!r}: allowed are {known}")
            elif len(self._query.getlist(name)) > 1:
                self._errors.append(f"Invalid {name}: must be given once")

    def check(self) -> None:
        """Raise InvalidRequestError with all problems, or else ForbiddenError, if there are any."""
        if self._errors:
            raise InvalidRequestError(self._errors)
        if self._forbidden:
            raise ForbiddenError(self._forbidden, self.granted)

    def has(self, name: str) -> bool:
        """Whether the request has this parameter."""
        return name in self._query

    def offset(self) -> int:
        """Return the number of windows to skip."""
        return self._parse("offset", 0, lambda text: _whole(text, MAX_OFFSET))

    def limit(self, highest: int) -> int:
        """Return the largest number of windows to answer with; 0 means `highest`."""
        return self._parse("limit", highest, lambda text: _whole(text, highest)) or highest

    def letters(self) -> int:
        """Return the largest number of dead letters to answer with."""
        return self._parse("limit", LETTERS, lambda text: _whole(text, MAX_LETTERS, 1))

    def word(self, name: str) -> str | None:
        """Return the text of a parameter with a pattern; None if it is not there."""
        pattern = self._patterns[name]
        return self._parse(name, None, lambda text: _matching(text, pattern))

    def span(self, default_from: str = "", default_to: str = "") -> tuple[int, int]:
        """Return `from` and `to` in unix milliseconds, limited to times of windows.

        The defaults are texts as in a query; empty ones are the bounds of all times.
        """
        start = self._time("from", default_from)
        end = self._time("to", default_to)
        low = 0 if start is None else start.unix_ms
        high = END_OF_TIME_MS if end is None else end.unix_ms
        if start is not None and end is not None and low > high:
            asked = [self._query.get("from", default_from), self._query.get("to", default_to)]
            self._errors.append(
                f"Invalid from: must not be after to; got {asked[0]!r} and {asked[1]!r}"
            )
        from_ms, to_ms = (min(max(each, 0), END_OF_TIME_MS) for each in (low, high))
        if self.has("from") and self.has("to") and _is_fixed(start) and _is_fixed(end):
            self.fixed_range = FixedRange(from_ms, to_ms)
        return from_ms, to_ms

    def _time(self, name: str, default: str) -> Time | None:
        """Return a time; None for an empty default, and for a wrong text, which is noted."""
        unset = parse_time(default, self.now_ms) if default else None
        return self._parse(name, unset, lambda text: parse_time(text, self.now_ms))

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
        elif name is not None:
            self._forbid([name])
        return name

    def facilities(self) -> Choice:
        """Return the names and patterns of facilities, of those granted; none stands for all."""
        text = self._query.get("facility")
        if text is None:
            return Choice((), self.granted.patterns)
        patterns = [each.strip() for each in text.split(",") if each.strip()]
        bad = [each for each in patterns if not _is_name_or_pattern(each)]
        if len(patterns) > MAX_NAMES:
            self._errors.append(f"Invalid facility: at most {MAX_NAMES} names; got {len(patterns)}")
        elif bad or not patterns:
            self._errors.append(
                f"Invalid facility: each must be {NAME_RULE}, or have `*` in the place of any "
                f"characters; got {(bad or [text])[0]!r}"
            )
        self._forbid(each for each in patterns if "*" not in each)
        return Choice(list(dict.fromkeys(patterns)), self.granted.patterns)

    def cursor(self) -> str | None:
        """Return the place after which a page begins; "" for the newest window."""
        if self.has("cursor") and self.has("offset"):
            self._errors.append("Invalid cursor: must not be given together with offset")
        return self._parse("cursor", None, read_cursor)

    def _forbid(self, names: Iterable[str]) -> None:
        """Note the names of facilities that are not granted."""
        self._forbidden += [each for each in names if not self.granted.has(each)]

    def _parse(self, name: str, default: T, parser: Callable[[str], T]) -> T:
        text = self._query.get(name)
        if text is None:
            return default
        try:
            return parser(text)
        except ValueError as error:
            self._errors.append(f"Invalid {name}: {error}")
            return default


def _is_name_or_pattern(text: str) -> bool:
    return bool(_is_pattern(text)) if "*" in text else is_name(text)


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


def _is_fixed(bound: Time | None) -> bool:
    return bound is not None and not bound.is_relative


def _matching(text: str, pattern: str) -> str:
    if not re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text, re.ASCII):
        raise ValueError(f"must match {pattern}; got {text!r}")
    return text


def _whole(text: str, highest: int, lowest: int = 0) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f"must be a non-negative integer; got {text!r}")
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(highest)) or int(digits) > highest:
        raise ValueError(f"must be at most {highest}; got {text!r}")
    if int(digits) < lowest:
        raise ValueError(f"must be at least {lowest}; got {text!r}")
    return int(digits)
