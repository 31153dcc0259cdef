"""MQTT topic filters, level by level: which topics two of them have in common."""

from collections.abc import Iterator, Sequence
from itertools import combinations


def overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether a topic exists that both filters match, each given as its levels."""
    for a, b in _levels(one, other):
        if "#" in {a, b}:
            return True
        if a is None or b is None or not (a == b or "+" in {a, b}):
            return False
    return True


def covers(wide: str, narrow: str) -> bool:
    """Whether the filter `wide` matches each topic of `narrow`; `+/#` is not taken for `#`."""
    for a, b in _levels(wide.split("/"), narrow.split("/")):
        if a == "#":
            return True
        if a is None or b in {None, "#"} or a not in {"+", b}:
            return False
    return True


def overlapping(filters: Sequence[str]) -> tuple[str, str] | None:
    """Return the first two filters that match a topic in common; None if no two do."""
    for one, other in combinations(filters, 2):
        if overlap(one.split("/"), other.split("/")):
            return one, other
    return None


def _levels(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    """Yield the levels side by side, None where a filter has ended."""
    for i in range(max(len(one), len(other))):
        yield one[i] if i < len(one) else None, other[i] if i < len(other) else None
