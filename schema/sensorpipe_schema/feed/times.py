"""Times of devices, as Unix milliseconds."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

import msgspec

from sensorpipe_schema.feed.spec import FORMATS

MAX_TIME_MS: Final = 253_402_300_800_000
"""First millisecond of the year 10000, which is no time any more."""

_WANTED: Final = {"auto": "a Unix time or RFC 3339", "rfc3339": "RFC 3339"}

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_HALF_MICROSECOND: Final = 0.0005
"""In milliseconds: more than a float's error, less than a time's smallest step."""

_HIGHEST: Final = 1e21
_MAGNITUDES: Final = ((1e11, 1000), (1e14, 1), (1e17, 1e-3), (_HIGHEST, 1e-6))
"""Below which magnitude a number is a time of how many milliseconds: each unit reaches from 1973
to 5138, except that seconds begin with 1970."""


class BadTimeError(ValueError):
    """A value that is not a time; the text says why."""


def to_ms(value: Any, form: str, zone: tzinfo | None) -> int:
    """Return the Unix milliseconds of a decoded value; raise BadTimeError if it is none.

    A time without a zone is one in `zone`. In an hour that a clock repeats, it is the first.
    """
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, datetime) and not FORMATS[form]:
        if value.tzinfo is None:
            if zone is None:
                raise BadTimeError("has no time zone: give spec.timezone")
            value = value.replace(tzinfo=zone)
        since: timedelta = value - EPOCH
        return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
    if isinstance(value, int | float) and not isinstance(value, bool) and form != "rfc3339":
        return _of_number(value, form)
    wanted = _WANTED.get(form, f"a number ({form})")
    raise BadTimeError(f"must be {wanted}; got {value!r:.60}")


def _of_number(value: float, form: str) -> int:
    unit = FORMATS[form]
    if abs(value) < _HIGHEST:  # nor is NaN, nor an int that no float can be
        unit = unit or next(unit for below, unit in _MAGNITUDES if abs(value) < below)
        if abs(value * unit) < MAX_TIME_MS:
            return int(value * unit + _HALF_MICROSECOND)
    raise BadTimeError(f"{value!r:.60} is no time")


def _parsed(text: str) -> Any:
    """Return text as a number or time if it is one, else as it is."""
    try:
        return msgspec.convert(text, datetime | float, strict=False)
    except msgspec.ValidationError:
        return text
