"""Stored partials: the form of a document (docs/storage.md).

    {_id, facility_name, window: {start_time, end_time}, received_at,
     sensors: {NAME: {count, mean, m2, min, max}, …}, partial: the Kafka message's value,
     itemized: true, only where it is}

`_id` is `FACILITY/START/LENGTH/RUN/NUMBER`: start and length in milliseconds, the start in 15
digits, the run in 16 hexadecimal ones. So one facility's windows are one range of `_id` in
order of time, a window's partials are neighbours, the index that MongoDB always has serves every
query, and redeliveries are refused. A window whose partials were merged in the
background has one document `FACILITY/START/LENGTH/folded`, which names the
partials that it holds.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sensorpipe_schema.partial import MAX_TIME_MS, Checked

Document = dict[str, Any]

END_OF_TIME_MS: Final = MAX_TIME_MS
"""First unix millisecond of the year 10000, which no window reaches; it has 15 digits."""

FOLDED: Final = "folded"
"""The end of the `_id` of a folded document."""

MAX_LISTED_SENSORS: Final = 10_000
"""Largest number of sensors listed of a facility; windows of others are stored as well."""

_START_DIGITS: Final = 15
_match: Final = re.compile(
    r"([^/]+)/([0-9]{15})/([1-9][0-9]{0,14})"
    r"/(?:folded|((?!0{16})[0-9a-f]{16})/(0|[1-9][0-9]{0,18}))"
).fullmatch
"""Takes an `_id` apart. One with the same numbers in another form is not a partial's, as it
would not sort beside the others of its window."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class WindowKey(NamedTuple):
    """Identifies a window: its facility, and its start and length in milliseconds."""

    facility: str
    start_ms: int
    length_ms: int

    def __str__(self) -> str:
        """Return the common beginning of the `_id` of its documents, without the last slash."""
        return f"{self.facility}/{self.start_ms:015d}/{self.length_ms}"

    @property
    def end_ms(self) -> int:
        """The end, exclusive, in unix milliseconds."""
        return self.start_ms + self.length_ms


class DocumentKey(NamedTuple):
    """The parts of an `_id`; `run` and `number` are 0 in that of a folded document."""

    window: WindowKey
    run: int
    number: int

    @property
    def is_folded(self) -> bool:
        """Whether it is of a folded document."""
        return not self.run


def read_id(text: str) -> DocumentKey:
    """Return the parts of an `_id`, or raise ValueError if it is not a partial's."""
    found = _match(text)
    if found is None:
        raise ValueError("the _id is not that of a partial")
    facility, start, length, run, number = found.groups()
    window = WindowKey(facility, int(start), int(length))
    if window.end_ms >= MAX_TIME_MS:
        raise ValueError("the _id is of a time that no partial has")
    return DocumentKey(window, int(run, 16), int(number)) if run else DocumentKey(window, 0, 0)


def id_range(facility: str, from_ms: int = 0, to_ms: int = END_OF_TIME_MS) -> dict[str, str]:
    """Return the condition on `_id` for windows that start in `from_ms <= start < to_ms`."""
    end = f"{facility}0" if to_ms >= END_OF_TIME_MS else f"{facility}/{to_ms:015d}"
    return {"$gte": f"{facility}/{from_ms:015d}", "$lt": end}


def start_among(text: str) -> int:
    """Return the latest start, in unix milliseconds, of a window that sorts before an `_id`.

    This gives an `_id` of any form a place among windows; 0 if it sorts before all of them.
    """
    digits = text.partition("/")[2][:_START_DIGITS]
    for at, each in enumerate(digits):
        if each > "9":
            return int(digits[:at].ljust(_START_DIGITS, "9"))
        if each < "0":
            digits = digits[:at]
            break
    if len(digits) == _START_DIGITS:
        return int(digits)
    return max(0, int(digits.ljust(_START_DIGITS, "0")) - 1)


@lru_cache(maxsize=4096)  # neighbouring windows and facilities share their bounds
def date(unix_ms: int) -> datetime:
    """Return unix milliseconds as a date."""
    return _EPOCH + timedelta(milliseconds=unix_ms)


def unix_ms(moment: datetime) -> int:
    """Return a date, which MongoDB keeps in milliseconds, in unix milliseconds."""
    return (moment - _EPOCH) // _MILLISECOND


def read_received_at(stored: Document) -> datetime:
    """Return when a document was stored; raise KeyError or TypeError if it has no such date."""
    moment = stored["received_at"]
    if not isinstance(moment, datetime):
        raise TypeError(f"received_at is {type(moment).__name__}, not a date")
    return moment


def document(checked: Checked, value: bytes, received_at: datetime) -> Document:
    """Return the document of a partial whose Kafka message has this value."""
    facility, start, end, (_, run, number, _), sensors, itemized, _ = checked
    stored: Document = {
        "_id": f"{facility}/{start:015d}/{end - start}/{run:016x}/{number}",
        "facility_name": facility,
        "window": {"start_time": date(start), "end_time": date(end)},
        "received_at": received_at,
        "sensors": sensors,
        "partial": value,
    }
    if itemized:
        stored["itemized"] = True
    return stored
