"""Sets of sequence numbers, as sorted closed intervals `(first, last)`."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Interval = tuple[int, int]


class IntervalSet:
    """A set of integers, whose size in memory depends on its gaps, not on its members.

    One sorted list holds `first, last + 1, first, last + 1, …`. A number is a member where an odd
    number of these bounds is not above it:

        {3, 4, 5, 9}   bounds  3     6        9    10
                       inside  |=====|        |====|
    """

    __slots__ = ("_bounds",)

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        self._bounds: list[int] = []
        for first, last in intervals:
            self.add_range(first, last)

    @property
    def top(self) -> int:
        """The highest member; 0 for an empty set."""
        return self._bounds[-1] - 1 if self._bounds else 0

    def __contains__(self, number: int) -> bool:
        return bisect_right(self._bounds, number) % 2 == 1

    def __len__(self) -> int:
        """Return the number of intervals, not of members."""
        return len(self._bounds) // 2

    def __iter__(self) -> Iterator[Interval]:
        bounds = iter(self._bounds)
        return ((first, end - 1) for first, end in zip(bounds, bounds, strict=True))

    def __repr__(self) -> str:
        return f"IntervalSet({list(self)})"

    def add(self, number: int) -> bool:
        """Add one member; return False if it was a member already."""
        if number in self:
            return False
        self.add_range(number, number)
        return True

    def add_range(self, first: int, last: int) -> None:
        """Add all numbers from `first` to `last`."""
        bounds, end = self._bounds, last + 1
        if not bounds:
            self._bounds = [first, end]  # of this size exactly: most sets have no gap
        elif first > bounds[-1]:
            bounds += (first, end)
        elif first == bounds[-1]:
            bounds[-1] = end
        else:  # what lies between is replaced; where it begins or ends inside, that bound goes, too
            low, high = bisect_left(bounds, first), bisect_right(bounds, end)
            bounds[low:high] = [first] * (low % 2 == 0) + [end] * (high % 2 == 0)

    def remove_top(self) -> int:
        """Remove the highest interval; return its first member."""
        first, _ = self._bounds[-2:]
        del self._bounds[-2:]
        return first

    def forget_lowest(self, count: int) -> int:
        """Remove the `count` lowest intervals; return the highest member of them, 0 if none."""
        highest = max(self._bounds[: 2 * count], default=1) - 1
        del self._bounds[: 2 * count]
        return highest


def join(intervals: Iterable[Interval]) -> list[Interval]:
    """Sort intervals and join adjacent ones; overlaps are kept, since they are duplicates."""
    joined: list[Interval] = []
    for first, last in sorted(intervals):
        if joined and first == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined
