"""The lengths of the buckets of a series, and how they are written. Pure."""

import re
from collections.abc import Callable, Iterator
from typing import Final

_UNITS_MS: Final = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}

MAX_STEP_MS: Final = 3660 * _UNITS_MS["d"]
"""Longest step that can be asked for, in milliseconds."""

STEP_RULE: Final = "auto, or a whole number with ms, s, m, h, d or w, such as 10s, 5m or 1h"

STEPS_MS: Final = tuple(
    number * _UNITS_MS[unit]
    for unit, numbers in {
        "s": (1, 2, 5, 10, 15, 30),
        "m": (1, 2, 5, 10, 15, 30),
        "h": (1, 2, 3, 6, 12),
        "d": (1, 2, 7, 14, 28, 91, 364),
    }.items()
    for number in numbers
)
"""What `every=auto` chooses from, as far as it is a multiple of the windows; milliseconds."""

_parts = re.compile(r"(\d{1,12})(ms|s|m|h|d|w)", re.ASCII).fullmatch


def parse_step(text: str) -> int:
    """Return the milliseconds that a text such as `5m` means, or raise ValueError."""
    found = _parts(text)
    step_ms = int(found[1]) * _UNITS_MS[found[2]] if found else 0
    if found is None or not 0 < step_ms <= MAX_STEP_MS:
        raise ValueError(f"must be {STEP_RULE}, up to {step_text(MAX_STEP_MS)}; got {text!r}")
    return step_ms


def step_text(step_ms: int) -> str:
    """Return a step in the largest unit up to days that it is a multiple of, such as `90s`."""
    units = ("d", "h", "m", "s", "ms")
    unit = next(each for each in units if step_ms % _UNITS_MS[each] == 0)
    return f"{step_ms // _UNITS_MS[unit]}{unit}"


def floor(unix_ms: int, step_ms: int) -> int:
    """Return the last multiple of a step that is not after a moment."""
    return unix_ms - unix_ms % step_ms


def ceil(unix_ms: int, step_ms: int) -> int:
    """Return the first multiple of a step that is not before a moment."""
    return -(-unix_ms // step_ms) * step_ms


def buckets_in(from_ms: int, to_ms: int, step_ms: int) -> int:
    """Return the number of buckets that overlap `from_ms <= time < to_ms`."""
    return max(0, ceil(to_ms, step_ms) - floor(from_ms, step_ms)) // step_ms


def steps(base_ms: int) -> Iterator[int]:
    """Yield the steps to choose from that are multiples of `base_ms`, without end.

    A step that is none is rounded up to one.
    """
    step_ms = base_ms
    for each in STEPS_MS:
        if each >= base_ms:
            step_ms = ceil(each, base_ms)
            yield step_ms
    while True:
        step_ms *= 2
        yield step_ms


def smallest_step(base_ms: int, fits: Callable[[int], bool]) -> int:
    """Return the smallest step, a multiple of `base_ms`, that fits."""
    return next(step_ms for step_ms in steps(base_ms) if fits(step_ms))
