"""A mergeable quantile sketch: logarithmic buckets with a relative error of 1 %.

Masson, Rim, Lee: "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
Relative-Error Guarantees" (VLDB 2019). Merging adds counters, so the order and
the grouping of partials change nothing.
"""

import math
from collections.abc import Iterable
from typing import Final, Self

RELATIVE_ERROR: Final = 0.01
GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
LOG_GAMMA: Final = math.log(GAMMA)

MAX_BUCKETS: Final = 2048
"""Per sign; enough for magnitudes that differ by a factor of 6e17 without any collapsing."""

_MIDDLE: Final = math.log(2 / (1 + GAMMA))
_LOG_MAX: Final = math.log(math.nextafter(math.inf, 0))

Buckets = dict[int, int]


class Sketch:
    """Counts of values by bucket: key `ceil(log |v| / log gamma)`, apart for each sign."""

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
        """How many values it holds."""
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
        """Return the value at quantile `q` (0 … 1) within 1 %; nan where there are no values."""
        rank = q * (self.count - 1)
        for value, count in self._ascending():
            rank -= count
            if rank < 0:
                return value
        return math.nan

    def _ascending(self) -> Iterable[tuple[float, int]]:
        """Yield (value, count) of each bucket from the lowest value to the highest."""
        for key in sorted(self.negative, reverse=True):
            yield -_middle(key), self.negative[key]
        if self.zeros:
            yield 0.0, self.zeros
        for key in sorted(self.positive):
            yield _middle(key), self.positive[key]


def collapse(buckets: Buckets) -> None:
    """Keep MAX_BUCKETS buckets by adding the smallest magnitudes to the lowest one kept."""
    excess = len(buckets) - MAX_BUCKETS
    if excess <= 0:
        return
    keys = sorted(buckets)
    lowest_kept = keys[excess]
    for key in keys[:excess]:
        buckets[lowest_kept] += buckets.pop(key)


def _middle(key: int) -> float:
    """Return the value within 1 % of everything in the bucket."""
    return math.exp(min(key * LOG_GAMMA + _MIDDLE, _LOG_MAX))
