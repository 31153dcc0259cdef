"""A window's numbers with numpy are those of the plain definitions."""

import math
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sensorpipe_compactor.output.dividing import parts
from sensorpipe_compactor.windowing.buffers import Portion, Window
from sensorpipe_schema import partial
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.partial import Origin
from sensorpipe_schema.sketch import MAX_BUCKETS, Buckets, Sketch
from support.one_by_one import reduce_window
from support.partials import decode

ORIGIN = Origin("c", 2, 3, 4)
LARGEST = math.nextafter(math.inf, 0)
SMALLEST = 5e-324

finite = st.floats(allow_nan=False, allow_infinity=False)
ordinary = st.floats(-1e6, 1e6)


def window(values: dict[str, list[float]]) -> Window:
    made = Window("f", 10_000, 20_000, 1, 0, late=False)
    for sensor, held in values.items():
        made.portions.append(Portion(sensor, "a", values=held, first=1, last=len(held)))
    return made


def reduced(values: list[float]) -> tuple[Moments, Sketch]:
    summary = reduce_window(window({"s": values}), ORIGIN).sensors["s"]
    return summary.moments, summary.sketch


@given(st.lists(ordinary, min_size=1, max_size=300))
@example([0.1] * 10)
@example([1e6, 1e6 + 1e-9])
@example([461.0660636651495] * 7 + [461.06606366514956] * 4)
def test_moments_are_those_of_the_definition(values: list[float]):
    found, _ = reduced(values)
    exact = Moments.of(values)
    scale = max(map(abs, values))
    assert (found.count, found.min, found.max) == (exact.count, exact.min, exact.max)
    assert found.mean == pytest.approx(exact.mean, rel=1e-12, abs=1e-12 * scale)
    assert found.m2 == pytest.approx(exact.m2, rel=1e-12, abs=1e-12 * scale * scale)
    assert found.min <= found.mean <= found.max


@given(st.lists(finite, min_size=1, max_size=30))
@example([LARGEST, LARGEST, -LARGEST])
@example([LARGEST, -LARGEST])
@example([LARGEST] * 3)
@example([LARGEST, math.nextafter(LARGEST, 0)])
@example([SMALLEST, -SMALLEST, 0.0, -0.0])
def test_no_finite_values_make_anything_else(values: list[float]):
    found, sketch = reduced(values)
    assert found.mean == pytest.approx(Moments.of(values).mean, abs=1e-12 * max(map(abs, values)))
    assert found.min <= found.mean <= found.max
    assert found.m2 >= 0
    assert sketch.count == found.count == len(values)
    decode(partial.encode(reduce_window(window({"s": values}), ORIGIN)))


def spread(buckets: Buckets) -> list[int]:
    return [key for key in sorted(buckets) for _ in range(buckets[key])]


@given(st.lists(st.one_of(finite, ordinary, st.just(0.0)), min_size=1, max_size=300))
@example([SMALLEST, LARGEST, -SMALLEST, -LARGEST])
@example([1.0, math.nextafter(1.0, 2), math.nextafter(1.0, 0)])
def test_the_sketch_is_that_of_the_definition(values: list[float]):
    _, found = reduced(values)
    exact = Sketch.of(values)
    assert found.zeros == exact.zeros
    for mine, theirs in ((found.positive, exact.positive), (found.negative, exact.negative)):
        pairs = zip(spread(mine), spread(theirs), strict=True)
        assert all(abs(key - other) <= 1 for key, other in pairs)


def test_a_sketch_keeps_within_its_bound():
    values = [10.0 ** (exponent / 20) for exponent in range(-6000, 6000)]
    _, found = reduced(values)
    assert len(found.positive) == MAX_BUCKETS
    assert found.count == len(values)
    assert found.quantile(0.99) == pytest.approx(sorted(values)[11879], rel=0.011)


def test_a_partial_says_what_its_window_is():
    made = reduce_window(window({"s": [1.0, 2.0], "t": [3.0]}), ORIGIN)
    assert (made.facility, made.window_start_ms, made.window_end_ms) == ("f", 10_000, 20_000)
    assert made.origin == ORIGIN
    assert {name: summary.sources for name, summary in made.sensors.items()} == {
        "s": {"a": [(1, 2)]},
        "t": {"a": [(1, 1)]},
    }


def test_an_ordinary_window_is_one_partial():
    whole = window({f"s{number}": [1.0] * 100 for number in range(100)})
    (only,) = parts(whole, 1_000_000)
    assert only == whole


def test_a_window_that_kafka_would_not_take_is_several_partials():
    pick = random.Random(1)
    wild = {
        f"s{number}": [pick.choice([-1, 1]) * 10 ** pick.uniform(-300, 300) for _ in range(1_000)]
        for number in range(250)
    }
    made = [reduce_window(part, ORIGIN) for part in parts(window(wild), 1_000_000)]
    assert len(made) == 2
    names = [name for each in made for name in each.sensors]
    assert names == list(wild)
    assert all(len(partial.encode(each)) < 700_000 for each in made)
    assert all((each.facility, each.window_start_ms) == ("f", 10_000) for each in made)
