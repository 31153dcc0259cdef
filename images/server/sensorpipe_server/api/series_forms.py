"""The forms in which a series is written: JSON, CSV and lines of JSON. Pure."""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec
from bson import Int64

from sensorpipe_server.storage.documents import END_OF_TIME_MS
from sensorpipe_server.storage.reads.buckets import Row, Values

KEYS: Final = ("time", "facility", "sensor")
"""The fields that every row begins with."""

_DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1)


def time_text(unix_ms: int) -> str:
    """Return a time in RFC 3339, in UTC; the end of the year 9999 for any later one."""
    day, in_day = divmod(min(unix_ms, END_OF_TIME_MS - 1), _DAY_MS)
    seconds, ms = divmod(in_day, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    fraction = f".{ms:03}" if ms else ""
    return f"{_day_text(day)}T{hour:02}:{minute:02}:{second:02}{fraction}Z"


@lru_cache(maxsize=64)  # neighbouring rows are of one day
def _day_text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()


def _stdev(values: Values) -> float | None:
    count = values["count"]
    return _finite(math.sqrt(values["m2"] / (count - 1))) if count > 1 else 0.0


def _finite(value: float) -> float | None:
    """Return a number; None for one that JSON cannot hold."""
    return value if math.isfinite(value) else None


_STORED: Final = {"avg": "mean", "min": "min", "max": "max", "count": "count"}
"""The fields that are always numbers, with their names in Values."""

_OTHERS: Final[Mapping[str, Callable[[Values], float | None]]] = {
    "stdev": _stdev,
    "p50": lambda values: _finite(values["p50"]),
    "p95": lambda values: _finite(values["p95"]),
    "p99": lambda values: _finite(values["p99"]),
}


def spreadsheet_time(unix_ms: int) -> str:
    """Return a time in UTC as spreadsheets read it: they take one with a zone for text."""
    return time_text(unix_ms)[:-1].replace("T", " ")


def _getter(fields: Sequence[str]) -> Callable[[Values], tuple[float | None, ...]]:
    """Return what takes the values of some fields out of those of a row."""
    names = [_STORED[name] for name in fields if name in _STORED]
    if len(names) == len(fields) > 1:
        return itemgetter(*names)  # four times as fast
    each = [_OTHERS.get(name) or itemgetter(_STORED[name]) for name in fields]
    return lambda values: tuple([get(values) for get in each])


class Head(NamedTuple):
    """What an answer says of the series as a whole."""

    every: str
    from_time: str
    to_time: str
    units: Mapping[str, str] = {}
    """The unit of each sensor that has one."""

    def headers(self) -> dict[str, str]:
        """Return the headers that say it where the body has no place for it."""
        return {
            "Sensorpipe-Every": self.every,
            "Sensorpipe-From": self.from_time,
            "Sensorpipe-To": self.to_time,
        }


class Cells:
    """Turns rows into the values that are written, in order: KEYS, `fields`, `complete`.

    A number that JSON cannot hold becomes None.
    """

    def __init__(self, fields: Sequence[str], is_complete: Callable[[int], bool]) -> None:
        self.names = (*KEYS, *fields, "complete")
        self.item = _item_type(self.names)
        """An object in JSON, made from such values."""
        self._get = _getter(fields)
        self.is_complete = is_complete
        """Whether the bucket with this start is complete."""

    def of(
        self,
        rows: Sequence[Row],
        booleans: tuple[object, object] = (False, True),
        text_of: Callable[[int], str] = time_text,
    ) -> list[tuple[Any, ...]]:
        """Return the values of rows; the second of `booleans` says that one is complete."""
        get = self._get
        found: list[tuple[Any, ...]] = []
        last, time, complete = -1, "", booleans[0]
        for start_ms, facility, sensor, values in rows:
            if start_ms != last:
                last, time = start_ms, text_of(start_ms)
                complete = booleans[self.is_complete(start_ms)]
            found.append((time, facility, sensor, *get(values), complete))
        return found


@lru_cache(maxsize=64)
def _item_type(names: Sequence[str]) -> type[msgspec.Struct]:
    return msgspec.defstruct("Item", names, gc=False)


class Form(NamedTuple):
    """How a series is written."""

    media_type: str
    start: Callable[[Head, Cells], bytes]
    """Writes what comes before the first row."""
    rows: Callable[[Cells, Sequence[Row], bool], bytes]
    """Writes rows, at least one; the last argument says whether they are the first."""
    end: bytes
    is_file: bool = False
    """Whether a browser should save it."""


def _plain(value: object) -> int:
    """Return an integer over 32 bits, which BSON decodes to a class of its own."""
    if isinstance(value, Int64):
        return int(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer")


_encoder: Final = msgspec.json.Encoder(enc_hook=_plain)


def _json_start(head: Head, _cells: Cells) -> bytes:
    content = {
        "every": head.every,
        "from": head.from_time,
        "to": head.to_time,
        "units": head.units,
        "data": (),
    }
    return _encoder.encode(content)[:-2]


def _json_rows(cells: Cells, rows: Sequence[Row], first: bool) -> bytes:  # noqa: FBT001  all forms have the same signature
    written = _encoder.encode(_objects(cells, rows))[1:-1]
    return written if first else b"," + written


def _lines(cells: Cells, rows: Sequence[Row], _first: bool) -> bytes:  # noqa: FBT001  likewise
    return _encoder.encode_lines(_objects(cells, rows))


def _objects(cells: Cells, rows: Sequence[Row]) -> list[msgspec.Struct]:
    item = cells.item
    return [item(*each) for each in cells.of(rows)]


def _csv_start(_head: Head, cells: Cells) -> bytes:
    return _csv([cells.names])


def _csv_rows(cells: Cells, rows: Sequence[Row], _first: bool) -> bytes:  # noqa: FBT001  likewise
    return _csv(cells.of(rows, ("false", "true")))


def _spreadsheet_start(_head: Head, cells: Cells) -> bytes:
    return _csv([("time_utc", *cells.names[1:])])


def _spreadsheet_rows(cells: Cells, rows: Sequence[Row], _first: bool) -> bytes:  # noqa: FBT001  likewise
    return _csv(cells.of(rows, ("false", "true"), spreadsheet_time))


def _csv(lines: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()


FORMS: Final[Mapping[str, Form]] = {
    "json": Form("application/json", _json_start, _json_rows, b"]}"),
    "csv": Form("text/csv; charset=utf-8", _csv_start, _csv_rows, b"", is_file=True),
    "ndjson": Form("application/x-ndjson", lambda _head, _cells: b"", _lines, b""),
    "spreadsheet": Form(
        "text/csv; charset=utf-8", _spreadsheet_start, _spreadsheet_rows, b"", is_file=True
    ),
}
"""By the name in `format`; the first one is the default, and that of its media type."""
