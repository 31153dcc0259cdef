"""A mergeable quantile sketch: logarithmic buckets with a relative error of 1 %.

Masson, Rim, Lee: "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
Relative-Error Guarantees" (VLDB 2019). Merging adds counters, so the order and
the grouping of partials change nothing.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import Final, Self

RELATIVE_ERROR: Final = 0.01
"""Largest error of a quantile, as a share of its value."""

GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
"""Ratio of the upper bounds of two neighbouring buckets."""

LOG_GAMMA: Final = math.log(GAMMA)
"""Natural logarithm of GAMMA."""

MAX_BUCKETS: Final = 2048
"""Largest number of buckets per sign; without collapsing, magnitudes can differ by 6e17."""

_MIDDLE: Final = math.log(2 / (1 + GAMMA))
_LOG_MAX: Final = math.log(math.nextafter(math.inf, 0))

Buckets = dict[int, int]


class Sketch:
    """Counts of values by bucket, per sign; the bucket of v is `ceil(log |v| / log gamma)`."""

    __slots__ = ("negative", "positive", "zeros")

    def __init__(
        self, positive: Buckets | None = None, negative: Buckets | None = None, zeros: int = 0
    ) -> None:
        self.positive: Buckets = positive if positive is not None else {}
        self.negative: Buckets = negative if negative is not None else {}
        self.zeros = zeros

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return the sketch of finite values."""
        sketch = cls()
        for value in values:
            sketch.add(value)
        return sketch

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and (self.positive, self.negative, self.zeros) == (
            other.positive,
            other.negative,
            other.zeros,
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Sketch({self.positive}, {self.negative}, {self.zeros})"

    @property
    def count(self) -> int:
        """Number of values counted."""
        return sum(self.positive.values()) + sum(self.negative.values()) + self.zeros

    def add(self, value: float) -> None:
        """Count one finite value."""
        if value == 0:
            self.zeros += 1
            return
        buckets = self.positive if value > 0 else self.negative
        key = math.ceil(math.log(abs(value)) / LOG_GAMMA)
        buckets[key] = buckets.get(key, 0) + 1
        if len(buckets) > MAX_BUCKETS:
            collapse(buckets)

    def merge(self, other: "Sketch") -> None:
        """Add another sketch's counts to this one."""
        for mine, theirs in (
            (self.positive, other.positive),
            (self.negative, other.negative),
        ):
            for key, count in theirs.items():
                mine[key] = mine.get(key, 0) + count
            collapse(mine)
        self.zeros += other.zeros

    def quantile(self, q: float) -> float:
        """Return the value at quantile `q` (0 to 1) within 1 %; nan if there are no values."""
        return self.quantiles(q)[0]

    def quantiles(self, *points: float) -> list[float]:
        """Return the values at quantiles (0 … 1) within 1 %; nan where there are no values."""
        below, above = sorted(self.negative, reverse=True), sorted(self.positive)
        counts = map(self.negative.__getitem__, below), map(self.positive.__getitem__, above)
        reached = list(accumulate(chain(counts[0], (self.zeros,), counts[1])))
        if not reached[-1]:
            return [math.nan] * len(points)
        places = (bisect_right(reached, point * (reached[-1] - 1)) for point in points)
        return [_value_at(place, below, above) for place in places]


def collapse(buckets: Buckets) -> None:
    """Reduce to MAX_BUCKETS buckets: the smallest magnitudes are added to the lowest one kept."""
    excess = len(buckets) - MAX_BUCKETS
    if excess <= 0:
        return
    keys = sorted(buckets)
    lowest_kept = keys[excess]
    for key in keys[:excess]:
        buckets[lowest_kept] += buckets.pop(key)


def _value_at(place: int, below: Sequence[int], above: Sequence[int]) -> float:
    """Return the value of a place among negative buckets, the one of zeros and positive ones."""
    if place < len(below):
        return -_middle(below[place])
    if place == len(below):
        return 0.0
    place -= len(below) + 1
    return _middle(above[min(place, len(above) - 1)])  # beyond it by rounding alone


def _middle(key: int) -> float:
    """Return a value within 1 % of all values of the bucket."""
    return math.exp(min(key * LOG_GAMMA + _MIDDLE, _LOG_MAX))
