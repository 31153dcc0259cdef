"""Count, mean, variance, minimum and maximum of a set of numbers, which can be merged."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

CountMeanM2 = tuple[int, float, float]
"""Count, mean and sum of squared deviations from the mean."""


@dataclass(frozen=True, slots=True)
class Moments:
    """`count` values with their mean, sum of squared deviations `m2`, minimum and maximum."""

    count: int
    mean: float
    m2: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return the moments of at least one value, in two exact-sum passes."""
        numbers = list(values)
        if not numbers:
            raise ValueError("moments need at least one value")
        count, low, high = len(numbers), min(numbers), max(numbers)
        try:
            mean = math.fsum(numbers) / count
        except OverflowError:
            mean = 2 * math.fsum(value / count / 2 for value in numbers)
        mean = min(max(mean, low), high)  # rounding may move it slightly outside
        m2 = _sum_of_squares(value - mean for value in numbers)
        return cls(count, mean, m2, low, high)

    def merge(self, other: Self) -> Self:
        """Return the moments of both sets together."""
        count, mean, m2 = merged(
            (self.count, self.mean, self.m2), (other.count, other.mean, other.m2)
        )
        return type(self)(count, mean, m2, min(self.min, other.min), max(self.max, other.max))

    @property
    def stdev(self) -> float:
        """The sample standard deviation; 0 for a single value."""
        return math.sqrt(self.m2 / (self.count - 1)) if self.count > 1 else 0.0


def merged(some: CountMeanM2, others: CountMeanM2) -> CountMeanM2:
    """Return count, mean and `m2` of two sets together.

    Chan, Golub, LeVeque: "Updating Formulae and a Pairwise Algorithm for
    Computing Sample Variances" (1979). Where the difference of the means exceeds the range
    of a double, the mean is their weighted sum.
    """
    count, mean, m2 = some
    more_count, more_mean, more_m2 = others
    total = count + more_count
    delta = more_mean - mean
    share = more_count / total
    both = m2 + more_m2 + delta * delta * count * share
    if math.isfinite(delta):
        return total, mean + delta * share, both
    return total, mean * (count / total) + more_mean * share, both


def _sum_of_squares(deviations: Iterable[float]) -> float:
    """Return the sum of squares, rounded once; infinite if it exceeds the range of a double."""
    try:
        return math.fsum(deviation * deviation for deviation in deviations)
    except OverflowError:
        return math.inf
