import math
import statistics
from fractions import Fraction
from functools import reduce

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sensorpipe_schema.moments import Moments

MAX = math.nextafter(math.inf, 0)
TINY = 5e-324
usual = st.floats(-1e6, 1e6)
finite = st.floats(allow_nan=False, allow_infinity=False)


def exact(values: list[float]) -> tuple[Fraction, Fraction]:
    """Return the mean and the sum of squared deviations, without any rounding."""
    held = [Fraction(value) for value in values]
    mean = sum(held, Fraction(0)) / len(held)
    return mean, sum(((value - mean) ** 2 for value in held), Fraction(0))


def merged(groups: list[list[float]]) -> Moments:
    return reduce(Moments.merge, map(Moments.of, groups))


@st.composite
def groupings(draw: st.DrawFn) -> list[list[float]]:
    """Return numbers around any level, in any groups."""
    level = draw(st.sampled_from([0.0, 20.0, -1013.0, 1e6]))
    values = st.floats(-10, 10).map(lambda value: level + value)
    return draw(st.lists(st.lists(values, min_size=1, max_size=20), min_size=1, max_size=12))


@given(st.lists(usual, min_size=1))
def test_moments_are_those_of_exact_arithmetic(values):
    moments = Moments.of(values)
    mean, m2 = exact(values)
    assert moments.count == len(values)
    assert (moments.min, moments.max) == (min(values), max(values))
    assert moments.mean == pytest.approx(float(mean), rel=1e-15, abs=1e-300)
    assert moments.m2 == pytest.approx(float(m2), rel=1e-9, abs=1e-15)


@given(st.lists(usual, min_size=2))
def test_the_deviation_is_the_samples(values):
    expected = statistics.stdev(values)
    assert Moments.of(values).stdev == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_single_value_has_no_deviation():
    assert Moments.of([21.5]) == Moments(1, 21.5, 0.0, 21.5, 21.5)
    assert Moments.of([21.5]).stdev == 0


def test_no_values_have_no_moments():
    with pytest.raises(ValueError, match="at least one"):
        Moments.of([])


@given(groupings())
def test_any_grouping_gives_the_moments_of_the_whole(groups):
    values = [value for group in groups for value in group]
    mean, m2 = exact(values)
    whole = merged(groups)
    spread = max(values) - min(values) + abs(float(mean)) * 1e-6
    assert whole.count == len(values)
    assert (whole.min, whole.max) == (min(values), max(values))
    assert whole.mean == pytest.approx(float(mean), rel=1e-12, abs=1e-12)
    assert whole.m2 == pytest.approx(float(m2), rel=1e-9, abs=1e-9 * (1 + spread**2))


@given(groupings(), st.randoms())
def test_any_order_of_merging_gives_the_same(groups, chance):
    shuffled = list(groups)
    chance.shuffle(shuffled)
    one, other = merged(groups), merged(shuffled)
    assert (one.count, one.min, one.max) == (other.count, other.min, other.max)
    assert one.mean == pytest.approx(other.mean, rel=1e-12, abs=1e-12)
    assert one.m2 == pytest.approx(other.m2, rel=1e-9, abs=1e-9)


def test_many_small_partials_stay_within_the_promise_of_1e_9():
    values = [1013 + 0.01 * math.sin(n) for n in range(10_000)]
    whole = merged([[value] for value in values])
    mean, m2 = exact(values)
    assert whole.mean == pytest.approx(float(mean), rel=1e-12)
    assert whole.m2 == pytest.approx(float(m2), rel=1e-9)


@given(st.lists(finite, min_size=1, max_size=8), st.lists(finite, min_size=1, max_size=8))
@example([MAX], [-MAX])
@example([MAX, MAX, MAX], [MAX])
@example([-MAX], [MAX, MAX])
@example([TINY], [-TINY])
@example([0.0], [TINY])
def test_extreme_magnitudes_never_give_nonsense(left, right):
    one, other = Moments.of(left), Moments.of(right)
    for moments in (one, other, one.merge(other), other.merge(one)):
        assert math.isfinite(moments.mean)
        slack = max(abs(moments.min), abs(moments.max)) * 1e-15 + TINY
        assert moments.min / 2 - slack <= moments.mean / 2 <= moments.max / 2 + slack
        assert moments.m2 >= 0  # infinite where no double can hold it, never nan
        assert not math.isnan(moments.stdev)


def test_a_mean_survives_the_overflow_of_the_sum():
    assert Moments.of([MAX, MAX, MAX]).mean == pytest.approx(MAX)
    assert Moments.of([MAX]).merge(Moments.of([-MAX])).mean == 0
    assert Moments.of([MAX, -MAX]).m2 == math.inf
