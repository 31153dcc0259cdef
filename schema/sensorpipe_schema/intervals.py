"""Sets of sequence numbers, as sorted closed intervals `(first, last)`."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

Interval = tuple[int, int]


class IntervalSet:
    """A set of integers, whose size in memory depends on its gaps, not on its members."""

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
        """Return the number of intervals, not of members."""
        return len(self._firsts)

    def __iter__(self) -> Iterator[Interval]:
        return zip(self._firsts, self._lasts, strict=True)

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
        if not self._lasts or first > self._lasts[-1] + 1:
            self._firsts.append(first)
            self._lasts.append(last)
            return
        if first == self._lasts[-1] + 1:
            self._lasts[-1] = last
            return
        low = bisect_right(self._lasts, first - 2)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def forget_lowest(self, count: int) -> int:
        """Remove the `count` lowest intervals; return the highest member of them, 0 if none."""
        highest = max(self._lasts[:count], default=0)
        del self._firsts[:count], self._lasts[:count]
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
