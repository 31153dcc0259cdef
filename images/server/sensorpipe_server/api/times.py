"""Times as people and programs write them in a query. Pure: the caller passes the current time."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from sensorpipe_server.storage.documents import END_OF_TIME_MS

TIME_RULE: Final = (
    "an RFC 3339 time such as 2026-01-02T03:04:05Z, a date such as 2026-01-02 (midnight UTC), "
    "seconds or milliseconds since 1970, now, or a time before now such as -15m, -24h or -7d"
)

FIRST_MS: Final = 100_000_000_000
"""Smallest number that is read as milliseconds since 1970, on 1973-03-03; lower ones are seconds.

As seconds it would be in the year 5138.
"""

FIRST_SECOND: Final = FIRST_MS // 1000
"""Smallest number but 0 that is read as seconds since 1970, also on 1973-03-03.

Lower ones may be meant as a year or a date: 2026, 20260102.
"""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_UNITS_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

_date_parts = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch
_time_parts = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+ -]\d\d:\d\d)", re.ASCII
).fullmatch
_number_parts = re.compile(r"(\d+)(?:\.(\d+))?", re.ASCII).fullmatch
_relative_parts = re.compile(r"(?:now)?-(\d{1,15})([smhdw])", re.ASCII).fullmatch
_looks_relative = re.compile(r"now|(?:now)?[-+ ]").match


class Time(NamedTuple):
    """A time in unix milliseconds, a fraction of one rounded up."""

    unix_ms: int
    is_relative: bool = False
    """Whether it depends on when it was asked for."""


class FixedRange(NamedTuple):
    """A range that means the same whenever it is asked for, in unix milliseconds."""

    from_ms: int
    to_ms: int


def parse_time(text: str, now_ms: int) -> Time:
    """Return the time that a text means at `now_ms`, or raise ValueError.

    In a query string an unescaped `+` means a space, so the offset `+02:00` arrives as in
    `03:04:05 02:00`, which has no other meaning.
    """
    if text == "now":
        return Time(now_ms, is_relative=True)
    if (parts := _relative_parts(text)) is not None:
        return Time(_before(now_ms, *parts.groups(), text=text), is_relative=True)
    if (parts := _number_parts(text)) is not None:
        return Time(_since_epoch(*parts.groups(), text=text))
    if _date_parts(text):
        return Time(_since_epoch_of(text, f"{text}T00:00:00+00:00"))
    if (parts := _time_parts(text)) is not None:
        day, clock, fraction, zone = parts.groups()
        zone = "+00:00" if zone in "Zz" else zone.replace(" ", "+")
        whole_ms = _since_epoch_of(text, f"{day}T{clock}{zone}")
        return Time(whole_ms + _fraction_ms(fraction))
    raise ValueError(_why_wrong(text))


def _before(now_ms: int, number: str, unit: str, *, text: str) -> int:
    time_ms = now_ms - int(number) * _UNITS_MS[unit]
    if time_ms < 0:
        raise ValueError(f"must not be before 1970-01-01; got {text!r}")
    return time_ms


def _since_epoch(number: str, fraction: str | None, *, text: str) -> int:
    """Return seconds or milliseconds, by their size, in milliseconds."""
    digits = number.lstrip("0") or "0"
    too_large = len(digits) > len(str(END_OF_TIME_MS)) or int(digits) >= END_OF_TIME_MS
    is_zero = digits == "0" and not _is_more_than_zero(fraction or "")
    if too_large or (int(digits) < FIRST_SECOND and not is_zero):
        raise ValueError(
            f"a number must be 0, seconds since 1970 from {FIRST_SECOND} to {FIRST_MS - 1}, or "
            f"milliseconds from {FIRST_MS} to {END_OF_TIME_MS - 1}; got {text!r}"
        )
    if int(digits) < FIRST_MS:
        return int(digits) * 1000 + _fraction_ms(fraction)
    return int(digits) + _is_more_than_zero(fraction or "")


def _since_epoch_of(text: str, iso: str) -> int:
    try:
        return (datetime.fromisoformat(iso) - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError) as error:
        raise ValueError(f"must be {TIME_RULE}; got {text!r}: {error}") from error


def _fraction_ms(fraction: str | None) -> int:
    """Return a decimal fraction of a second in milliseconds, rounded up."""
    digits = f"{fraction or ''}000"
    return int(digits[:3]) + _is_more_than_zero(digits[3:])


def _is_more_than_zero(digits: str) -> bool:
    return bool(digits.strip("0"))


def _why_wrong(text: str) -> str:
    if _time_parts(f"{text}Z"):
        return f"a time must end with Z or an offset such as +02:00; got {text!r}"
    if _looks_relative(text):
        return (
            "a time before now must be a whole number with s, m, h, d or w, such as -15m, -24h or "
            f"-7d; got {text!r}"
        )
    return f"must be {TIME_RULE}; got {text!r}"
