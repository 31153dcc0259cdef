"""Times as the API takes them."""

import math
from datetime import date, datetime, timedelta

TimeLike = datetime | date | timedelta | str | int | float
"""A time: a datetime with time zone, a date (midnight UTC), how long before now, seconds or
milliseconds since 1970, or a text that the API takes, such as "-7d", "now" or RFC 3339."""


def time_text(name: str, value: TimeLike) -> str:
    """Return a time as the API takes it; raise ValueError naming the argument if it is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ValueError(f"{name} must have a time zone, such as tzinfo=UTC; got {value!r}")
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _before_now(name, value)
    if isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{name} must be a time; got {value!r}")
    return repr(value)


def _before_now(name: str, value: timedelta) -> str:
    if value < timedelta(0):
        raise ValueError(f"{name} must be a time before now; got {value!r}")
    return f"-{math.ceil(value.total_seconds())}s"
