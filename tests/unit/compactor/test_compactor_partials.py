"""Partials made many at once are those that are made one by one."""

import math
import sys

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sensorpipe_compactor.partials.encoding import LARGE, encode_partials
from sensorpipe_compactor.partials.wire import VARINT, Lists, packed_fields, varints
from sensorpipe_compactor.windowing.buffers import Portion, Window
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading, SensorSummary, Sketch, Source
from sensorpipe_schema.partial import MAX_COMPACTOR_NAME, Origin
from sensorpipe_schema.reading import MAX_SEQ
from support.one_by_one import encode_one_by_one

FIRST = Origin("compactor-0", 2**63 - 1, 127, 1_800_000_000_000)
LARGEST = math.nextafter(math.inf, 0)
SMALLEST = 5e-324
EPSILON = sys.float_info.epsilon

ordinary = st.floats(-1e6, 1e6)
values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    ordinary,
    st.sampled_from([0.0, -0.0, 21.5, LARGEST, -LARGEST, SMALLEST, -SMALLEST, 1.0, -1e300]),
)
seqs = st.one_of(st.integers(1, 300), st.integers(1, MAX_SEQ - 1_000))
srcs = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
units = st.sampled_from(["", "", "°C", "km/h"])
names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,9}", fullmatch=True)
varied = st.integers(0, 63).flatmap(lambda bits: st.integers(0, 2**bits - 1))
times = st.one_of(st.just(0), st.integers(0, 180_000_000).map(lambda number: number * 10_000))


@st.composite
def portions(draw: st.DrawFn, sensor: str, src: str | None, most: int) -> Portion:
    """Return readings whose `seq` come in a few runs, in any order."""
    held = draw(st.lists(values, min_size=1, max_size=most))
    made = Portion(sensor, src, draw(st.booleans()), held, unit=draw(units))
    left = len(held) if src is not None else 0
    while left:
        first, count = draw(seqs), draw(st.integers(1, left))
        made.add_range(first, first + count - 1)
        left -= count
    return made


@st.composite
def windows(draw: st.DrawFn, most: int, most_sources: int = 3) -> Window:
    """Return a window of some sensors and sources of each, and up to `most` readings of each."""
    start = draw(times)
    made = Window(
        draw(names), start, start + 10_000, 1, 0, late=False, itemized=draw(st.booleans())
    )
    sources = srcs if made.itemized else st.one_of(st.none(), srcs)
    for sensor in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
        for src in draw(st.lists(sources, min_size=1, max_size=most_sources, unique=True)):
            made.portions.append(draw(portions(sensor, src, most)))
    if draw(st.booleans()):
        made.portions = draw(st.permutations(made.portions))
    return made


def window(*held: list[float]) -> Window:
    """Return a window with a sensor for each list of values."""
    made = Window("hall_1", 10_000, 20_000, 1, 0, late=False)
    for number, each in enumerate(held):
        made.portions.append(Portion(f"s{number}", "src", values=each, first=1, last=len(each)))
    return made


@given(st.lists(windows(most=2, most_sources=1), min_size=1, max_size=5))
def test_of_one_or_two_readings_each_they_are_the_same_bytes(some: list[Window]):
    assert encode_partials(some, FIRST) == encode_one_by_one(some, FIRST)


@given(st.lists(windows(most=40), min_size=1, max_size=4))
@example([window([LARGEST, LARGEST, -LARGEST]), window([1.0, 2.0, 4.0], [LARGEST] * 3)])
@example([window([-1.5] * 5, [0.0] * 4, [-0.0, 1.0, -1.0]), window([SMALLEST, 1e308, -2.0])])
@example([window([0.0, -0.0, 1e154], [-0.0] * 3, [-1.0, 0.0, -0.0])])
@example([window([0.1] * 10), window([461.0660636651495] * 7 + [461.06606366514956] * 4)])
@example([window([20.0, 21.0, 22.0], [float(number) for number in range(LARGE)])])
@example([window([1.25 * number for number in range(LARGE - 1)], [1.01**n for n in range(900)])])
def test_they_are_the_same_but_for_the_rounding_of_sums(some: list[Window]):
    pairs = zip(encode_partials(some, FIRST), encode_one_by_one(some, FIRST), strict=True)
    for encoded, expected in pairs:
        found, other = CompactedReading.FromString(encoded), CompactedReading.FromString(expected)
        assert found.SerializeToString() == encoded
        for ours, theirs in zip(found.sensors, other.sensors, strict=True):
            _compare_moments(ours, theirs)
        assert found == other


def _compare_moments(ours: SensorSummary, theirs: SensorSummary) -> None:
    """Compare what may be rounded otherwise, or be another zero, and make it the same."""
    scale = max(abs(theirs.min), abs(theirs.max))
    off = 8 * EPSILON * scale
    assert ours.mean == pytest.approx(theirs.mean, rel=0, abs=off)
    assert ours.min <= ours.mean <= ours.max
    assert ours.m2 == pytest.approx(theirs.m2, rel=16 * EPSILON, abs=theirs.count * off * off)
    assert (ours.min, ours.max) == (theirs.min, theirs.max)  # 0.0 == -0.0
    ours.mean, ours.m2, ours.min, ours.max = theirs.mean, theirs.m2, theirs.min, theirs.max


@pytest.mark.parametrize("number", [1, 127, 128, 16_383, 16_384, 2**21, 2**40, MAX_SEQ - 3])
def test_numbers_count_up_from_the_first(number: int):
    some = [window([1.0]), window([2.0]), window([3.0])]
    first = FIRST._replace(number=number)
    assert encode_partials(some, first) == encode_one_by_one(some, first)


@pytest.mark.parametrize("length", [1, 127, 128, MAX_COMPACTOR_NAME])
@pytest.mark.parametrize("newest_ms", [0, 1, 1_800_000_000_000])
def test_the_origin_is_in_each(length: int, newest_ms: int):
    some, first = [window([1.0]), window([2.0])], Origin("c" * length, 1, 9, newest_ms)
    assert encode_partials(some, first) == encode_one_by_one(some, first)


@given(st.lists(varied, max_size=8))
@example([0, 2**7 - 1, 2**7, 2**14 - 1, 2**14, 2**56 - 1, 2**56, 2**63 - 1])
def test_varints_are_those_of_protobuf(numbers: list[int]):
    array = np.array(numbers, np.int64)
    expected = [Source(bounds=[number]).SerializeToString()[2:] for number in numbers]
    assert varints(array) == expected == [VARINT[number] for number in numbers]


@given(
    st.lists(st.tuples(st.lists(varied, max_size=4), st.lists(varied, max_size=200)), min_size=1)
)
def test_lists_are_those_of_protobuf(rows: list[tuple[list[int], list[int]]]):
    found = packed_fields(
        [_lists(0x12, [row[0] for row in rows]), _lists(0x22, [row[1] for row in rows])]
    )
    assert found == [
        Sketch(positive_counts=row[0], negative_counts=row[1]).SerializeToString() for row in rows
    ]


def _lists(tag: int, rows: list[list[int]]) -> Lists:
    numbers = np.array([number for row in rows for number in row], np.int64)
    return Lists(tag, numbers, np.array([len(row) for row in rows], np.int64))


def test_there_may_be_many_sensors_and_sources():
    many = window(*([float(number)] for number in range(3_000)))
    many.portions += [
        Portion("s", f"src-{number}", values=[float(number)], first=number, last=number)
        for number in range(1, 2_000)
    ]
    assert encode_partials([many], FIRST) == encode_one_by_one([many], FIRST)


def test_no_windows_are_no_partials():
    assert encode_partials([], FIRST) == []
