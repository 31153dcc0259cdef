"""For how long windows and rollups are kept."""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sensorpipe_schema.reading import MAX_AGE_MS

LEVELS: Final = ("windows", "5m", "1h", "1d")
"""Names of the levels, each computed from the one before: windows, then rollups by length."""

DEFAULT: Final = "windows:30d,5m:180d,1h:5y,1d:forever"
"""Retention of each level by default, in the format of `parse`."""

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_UNITS_MS: Final = {"h": _HOUR_MS, "d": _DAY_MS, "y": 365 * _DAY_MS}
_LEAST_MS: Final = MAX_AGE_MS + _DAY_MS
"""Shortest retention of windows in milliseconds.

The compactor accepts readings that are up to 7 d old, and their windows must still exist.
"""
_MOST_MS: Final = 100 * 365 * _DAY_MS

_RULE: Final = "a whole number with h, d or y, such as 36h, 30d or 5y, up to 100y, or forever"
_duration = re.compile(r"(\d{1,6})([hdy])", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Retention:
    """Milliseconds for which each level is kept after its end; None is forever."""

    windows: int | None
    five_minutes: int | None
    hours: int | None
    days: int | None

    def of(self, level: str) -> int | None:
        """Return the milliseconds for which one of LEVELS is kept; None is forever."""
        kept = (self.windows, self.five_minutes, self.hours, self.days)
        return kept[LEVELS.index(level)]


def parse(text: str) -> Retention:
    """Return what `LEVEL:DURATION,…` says; a level that is not named is kept as in DEFAULT.

    Raises ValueError with everything that is wrong: each level must be kept at least as
    long as the one before, and windows for at least 8 d.
    """
    problems: list[str] = []
    texts = _texts(DEFAULT, []) | _texts(text, problems)
    kept: dict[str, int | None] = {}
    for level, duration in texts.items():
        try:
            kept[level] = _milliseconds(duration)
        except ValueError as error:
            problems.append(f"{level} {error}")
    problems += _too_short(kept, texts)
    if problems:
        raise ValueError("; ".join(problems))
    return Retention(*(kept[level] for level in LEVELS))


def _texts(text: str, problems: list[str]) -> dict[str, str]:
    """Return the duration of each level that is named, as it is written."""
    texts: dict[str, str] = {}
    for part in text.split(","):
        level, colon, duration = part.strip().partition(":")
        if not colon or level not in LEVELS:
            allowed = ", ".join(LEVELS)
            problems.append(f"must be LEVEL:DURATION, with LEVEL one of {allowed}; got {part!r}")
        elif level in texts:
            problems.append(f"{level} must be named once")
        else:
            texts[level] = duration
    return texts


def _milliseconds(text: str) -> int | None:
    if text == "forever":
        return None
    found = _duration(text)
    milliseconds = int(found[1]) * _UNITS_MS[found[2]] if found else 0
    if not 0 < milliseconds <= _MOST_MS:
        raise ValueError(f"must be kept for {_RULE}; got {text!r}")
    return milliseconds


def _too_short(kept: dict[str, int | None], texts: dict[str, str]) -> list[str]:
    """Return what is wrong with durations that are readable."""
    problems = []
    if "windows" in kept and _is_longer(_LEAST_MS, kept["windows"]):
        problems.append(
            f"windows must be kept for at least {_LEAST_MS // _DAY_MS}d, as readings may come "
            f"{MAX_AGE_MS // _DAY_MS}d late; got {texts['windows']!r}"
        )
    for below, level in pairwise(level for level in LEVELS if level in kept):
        if _is_longer(kept[below], kept[level]):
            problems.append(
                f"{level} must be kept at least as long as {below}, {texts[below]}; "
                f"got {texts[level]!r}"
            )
    return problems


def _is_longer(one: int | None, other: int | None) -> bool:
    return other is not None and (one is None or one > other)
