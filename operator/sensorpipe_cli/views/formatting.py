"""Formats numbers, durations and times for people."""

from collections.abc import Iterable
from datetime import UTC, datetime

from sensorpipe_cli.terminal_text import printable


def by_reason(counts: dict[str, int]) -> str:
    """Return a total and its parts, the largest first: `3 (not_json 2, too_old 1)`."""
    parts = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return f"{count(sum(counts.values()))} ({', '.join(f'{k} {count(n)}' for k, n in parts)})"


def clock(seconds: float) -> str:
    """Return a duration in seconds as `42 s`, `3:07` or `1:02:03`."""
    whole = int(seconds)
    if whole < 60:  # noqa: PLR2004  a minute
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def time_of_day(rfc3339: str) -> str:
    """Return a time as `HH:MM:SS` in UTC; text that is not a time is returned unchanged."""
    try:
        return datetime.fromisoformat(rfc3339).astimezone(UTC).strftime("%H:%M:%S")
    except ValueError:
        return rfc3339


def count(number: int) -> str:
    """Return an integer with commas between groups of three digits."""
    return f"{number:,}"


def rate(per_second: float) -> str:
    """Return a rate, with one decimal if it is below 100."""
    return f"{per_second:,.1f}" if per_second < 100 else f"{per_second:,.0f}"  # noqa: PLR2004


def average(value: float) -> str:
    """Return a measured value with two decimals, or four digits if very large or small."""
    return f"{value:,.2f}" if 0.1 <= abs(value) < 1e6 or value == 0 else f"{value:.4g}"  # noqa: PLR2004


def name_list(names: Iterable[str]) -> str:
    """Return names in alphabetical order, separated by commas and safe to print in a terminal."""
    return printable(", ".join(sorted(names)))
