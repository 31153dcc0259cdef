import math

import pytest
from ddsketch import DDSketch
from hypothesis import example, given
from hypothesis import strategies as st
from sensorpipe_schema.sketch import GAMMA, MAX_BUCKETS, RELATIVE_ERROR, Sketch

MAX = math.nextafter(math.inf, 0)
SMALLEST_NORMAL = 2.2250738585072014e-308
TINY = 5e-324
QUANTILES = (0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1)

magnitudes = st.floats(1e-9, 1e9)
measured = magnitudes | magnitudes.map(lambda value: -value) | st.just(0.0)
finite = st.floats(allow_nan=False, allow_infinity=False)
many = st.lists(measured, min_size=1, max_size=300)


def at_quantile(ordered: list[float], q: float) -> float:
    """Return the value whose rank is the quantile's, rounded down."""
    return ordered[math.floor(q * (len(ordered) - 1))]


def assert_close(sketch: Sketch, values: list[float], q: float) -> None:
    expected = at_quantile(sorted(values), q)
    # below the smallest normal double, neighbours differ by more than 1 %
    allowed = abs(expected) * RELATIVE_ERROR * (1 + 1e-9) + TINY
    assert abs(sketch.quantile(q) - expected) <= allowed


@given(many, st.sampled_from(QUANTILES) | st.floats(0, 1))
def test_any_quantile_is_within_one_percent(values, q):
    assert_close(Sketch.of(values), values, q)


@given(st.lists(finite, min_size=1, max_size=30), st.sampled_from(QUANTILES))
@example([MAX, -MAX, TINY, -TINY, 0.0], 0.5)
@example([SMALLEST_NORMAL], 1)
@example([MAX], 0)
@example([-MAX], 0)
def test_subnormal_and_huge_values_are_within_one_percent_too(values, q):
    assert_close(Sketch.of(values), values, q)


@given(many, st.sampled_from(QUANTILES))
def test_it_is_as_exact_as_the_known_implementation(values, q):
    known = DDSketch(RELATIVE_ERROR)
    for value in values:
        known.add(value)
    theirs = known.get_quantile_value(q)
    assert Sketch.of(values).quantile(q) == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@given(many)
def test_several_quantiles_are_those_one_by_one(values):
    sketch = Sketch.of(values)
    assert sketch.quantiles(*QUANTILES) == [sketch.quantile(q) for q in QUANTILES]
    assert all(math.isnan(value) for value in Sketch().quantiles(*QUANTILES))


@given(many, many)
def test_merging_is_sketching_everything_at_once(left, right):
    merged = Sketch.of(left)
    merged.merge(Sketch.of(right))
    assert merged == Sketch.of(left + right)
    assert merged.count == len(left) + len(right)


def union(*sketches: Sketch) -> Sketch:
    whole = Sketch()
    for sketch in sketches:
        whole.merge(sketch)
    return whole


buckets = st.dictionaries(st.integers(-3000, 3000), st.integers(1, 5), max_size=40)
wide = st.builds(
    lambda positive, negative, zeros, base: Sketch(
        dict.fromkeys(range(base, base + 1500), 1) | positive, negative, zeros
    ),
    buckets, buckets, st.integers(0, 3), st.integers(-1500, 1500),
)  # fmt: skip


@given(wide, wide, wide)
def test_merging_knows_no_order_and_no_grouping_even_where_it_collapses(one, two, three):
    flat = union(one, two, three)
    assert flat == union(three, two, one)
    assert flat == union(one, union(two, three))
    assert flat == union(union(one, three), two)
    assert flat.count == one.count + two.count + three.count


def test_merging_leaves_the_other_as_it_was():
    one, other = Sketch.of([1.0, 2.0]), Sketch.of([2.0, -3.0, 0.0])
    one.merge(other)
    assert other == Sketch.of([2.0, -3.0, 0.0])


@pytest.mark.parametrize("sign", [1, -1])
def test_the_number_of_buckets_is_bounded_and_the_large_magnitudes_stay_exact(sign):
    values = [sign * GAMMA**key for key in range(-5000, 5000)]
    sketch = Sketch.of(values)
    merged = union(Sketch.of(values[::2]), Sketch.of(values[1::2]))
    for each in (sketch, merged):
        assert len(each.positive) + len(each.negative) == MAX_BUCKETS
        assert each.count == len(values)
        # the largest 2,000 magnitudes
        q = 0.9 if sign > 0 else 0.1
        assert_close(each, values, q)
        assert_close(each, values, 1 if sign > 0 else 0)


def test_a_sketch_of_nothing_has_no_quantiles():
    assert Sketch().count == 0
    assert math.isnan(Sketch().quantile(0.5))


def test_zeros_of_both_signs_are_zero():
    sketch = Sketch.of([0.0, -0.0])
    assert sketch.zeros == 2
    assert sketch.quantile(0.5) == 0


def test_a_sketch_shows_what_it_holds():
    assert repr(Sketch.of([1.0, 0.0])) == "Sketch({0: 1}, {}, 1)"
    assert Sketch() != "a sketch"
