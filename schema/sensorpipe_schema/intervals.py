"""Sets and multisets of sequence numbers, as sorted closed intervals `(first, last)`."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

Interval = tuple[int, int]


class IntervalSet:
    """A set of integers that costs memory by gaps, not by members."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in intervals:
            self.add_range(first, last)

    @property
    def top(self) -> int:
        """The highest member; 0 for an empty set."""
        return self._lasts[-1] if self._lasts else 0

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    def __len__(self) -> int:
        """Return how many intervals (not members) the set holds."""
        return len(self._firsts)

    def __iter__(self) -> Iterator[Interval]:
        return zip(self._firsts, self._lasts, strict=True)

    def __repr__(self) -> str:
        return f"IntervalSet({list(self)})"

    def add(self, number: int) -> bool:
        """Add one member; False if it was there already."""
        if number in self:
            return False
        self.add_range(number, number)
        return True

    def add_range(self, first: int, last: int) -> None:
        """Add all of `first … last`."""
        if self._lasts and first == self._lasts[-1] + 1:
            self._lasts[-1] = last
            return
        low = bisect_right(self._lasts, first - 2)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def forget_lowest(self) -> Interval:
        """Remove and return the lowest interval."""
        return self._firsts.pop(0), self._lasts.pop(0)


def join(intervals: Iterable[Interval]) -> list[Interval]:
    """Sort intervals and join those that touch; overlaps stay, for they are duplicates."""
    joined: list[Interval] = []
    for first, last in sorted(intervals):
        if joined and first == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


@dataclass(frozen=True, slots=True)
class Audit:
    """What a multiset of sequence numbers says about loss: DESIGN 5, `/api/integrity`."""

    first: int
    last: int
    count: int
    lost: int
    duplicates: int

    @classmethod
    def of(cls, intervals: Sequence[Interval]) -> Self:
        """Audit at least one interval: gaps in the union are lost, overlaps duplicates."""
        ordered = sorted(intervals)
        first, reached = ordered[0][0], ordered[0][0] - 1
        count = lost = distinct = 0
        for low, high in ordered:
            count += high - low + 1
            lost += max(0, low - reached - 1)
            distinct += max(0, high - max(reached, low - 1))
            reached = max(reached, high)
        return cls(first, reached, count, lost, count - distinct)
