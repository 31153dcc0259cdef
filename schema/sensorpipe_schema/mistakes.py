"""Guesses of the mistake behind a message that is no reading, in words for its sender."""

import re
from typing import Any, Final

MAX_NAME: Final = 63
"""Largest number of characters of a facility's or sensor's name."""

_UNITS: Final = (("seconds", 1000.0), ("microseconds", 1e-3), ("nanoseconds", 1e-6))
"""Units of times other than milliseconds, with the milliseconds of one."""

_HIGHEST: Final = 10**20
_DAY_MS: Final = 24 * 3600 * 1000
_SHOWN: Final = 40

_not_in_names: Final = re.compile(r"[^a-z0-9_-]", re.ASCII)
_first_of_name = re.compile(r"[a-z0-9]", re.ASCII).search


def time_mistake(ts: int, now_ms: int) -> str | None:
    """Return which unit a time that cannot be one seems to have; None if none comes close."""
    if abs(ts) > _HIGHEST:
        return None
    for unit, milliseconds in _UNITS:
        if abs(ts * milliseconds - now_ms) < _DAY_MS:
            return f"looks like {unit}; milliseconds are expected"
    return None


def value_mistake(decoded: Any, key: str) -> str | None:
    """Return what is wrong with the key of a decoded payload: `ts`, `val`, `src` or `seq`."""
    if not isinstance(decoded, dict):
        return None
    wanted = {"src": "text of 1 to 128 characters", "val": "a number"}.get(key, "a whole number")
    if key not in decoded:
        keys = ", ".join(f"{name!r:.20}" for name in list(decoded)[:5]) or "none"
        return f"{key} is missing ({wanted}); the keys are {keys}"
    return f"{key} is {_named(decoded[key])}; {wanted} is expected"


def as_name(text: str) -> str:
    """Return text as a name: lower case, at most 63 characters, `_` for what names cannot have.

    A name begins and ends with a letter or digit; empty if none is left.
    """
    text = text.lower()
    first = _first_of_name(text)
    if first is None:
        return ""
    start = first.start()  # all else of a long text is left alone
    return _not_in_names.sub("_", text[start : start + MAX_NAME]).rstrip("_-")


def _named(value: Any) -> str:
    match value:
        case str():
            return f"the string {value[:_SHOWN]!r}"
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case int() | float():
            return f"{value!r:.40}"
        case list():
            return "an array"
        case _:
            return "an object"
