"""Durations as text: `500ms`, `10s`, `2m`, `1h30m`."""

import re
from fractions import Fraction

RULE = "a duration such as 500ms, 10s, 2m or 1h30m"

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_whole = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", re.ASCII).fullmatch
_parts = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII).findall


def parse_ms(text: str) -> int:
    """Return a duration in whole milliseconds; raise ValueError if the text is not one."""
    if not _whole(text):
        raise ValueError(f"must be {RULE}; got {text!r}")
    exact = sum(Fraction(number) * _UNITS_MS[unit] for number, unit in _parts(text))
    if exact != int(exact):
        raise ValueError(f"must be whole milliseconds; got {text!r}")
    return int(exact)


def format_ms(milliseconds: int) -> str:
    """Return the text of a duration in the largest unit that gives a whole number."""
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % _UNITS_MS[unit] == 0:
            return f"{milliseconds // _UNITS_MS[unit]}{unit}"
    return f"{milliseconds}ms"
