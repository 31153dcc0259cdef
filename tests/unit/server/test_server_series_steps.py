"""The steps of a series: what can be asked for, and which one the server chooses."""

import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_server.storage.reads.extents import Choice, matcher
from sensorpipe_server.storage.reads.steps import (
    buckets_in,
    parse_step,
    smallest_step,
    step_text,
    steps,
)

HOUR = 3_600_000
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("text", "step_ms"),
    [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("1h", HOUR), ("36h", 36 * HOUR)],
)
def test_a_step_is_read_and_written_in_the_same_way(text, step_ms):
    assert parse_step(text) == step_ms
    assert step_text(step_ms) == text


def test_a_step_is_written_in_the_largest_unit_up_to_days():
    assert step_text(parse_step("2w")) == "14d"
    assert step_text(parse_step("120m")) == "2h"
    assert step_text(parse_step("90s")) == "90s"


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "1.5h", "5 m", "0s", "5M", "3661d", "5m5"])
def test_what_is_no_step_is_refused_with_what_is(text):
    with pytest.raises(ValueError, match=r"must be auto, or a whole number with .* up to 3660d"):
        parse_step(text)


def test_steps_are_multiples_of_the_windows_and_go_on_without_end():
    tens = " ".join(step_text(each) for each in islice(steps(10_000), 20))
    assert tens == "10s 20s 30s 1m 2m 5m 10m 15m 30m 1h 2h 3h 6h 12h 1d 2d 7d 14d 28d 91d"
    sevens = [step_text(each) for each in islice(steps(7_000), 4)]
    assert sevens == ["14s", "21s", "35s", "63s"]
    assert step_text(next(islice(steps(10_000), 22, None))) == "1456d"  # 4 times 364 days


def test_a_range_has_the_buckets_that_it_overlaps():
    assert buckets_in(0, 60_000, 10_000) == 6
    assert buckets_in(5_000, 15_000, 10_000) == 2
    assert buckets_in(5_000, 5_000, 10_000) == 1
    assert buckets_in(10_000, 10_000, 10_000) == 0


def test_the_smallest_step_that_fits_is_chosen():
    def fits(step_ms):
        return buckets_in(0, 30 * DAY, step_ms) <= 1000

    assert smallest_step(10_000, fits) == HOUR
    assert smallest_step(300_000, fits) == HOUR
    assert smallest_step(DAY, fits) == DAY


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("hall_1", ["hall_1"]),
        ("hall_*", ["hall_1", "hall_12", "hall_2-a"]),
        ("*", ["hall_1", "hall_12", "hall_2-a", "yard"]),
        ("*1*", ["hall_1", "hall_12"]),
        ("h*l*2*", ["hall_12", "hall_2-a"]),
        ("*a", ["hall_2-a"]),
        ("hall_1*1", []),
        ("hall_**1", ["hall_1"]),
    ],
)
def test_a_star_stands_for_any_characters_or_none(pattern, names):
    matches = matcher((pattern,))
    assert list(filter(matches, ("hall_1", "hall_12", "hall_2-a", "yard"))) == names


def test_many_stars_take_no_longer_than_few():
    assert not matcher(("*a" * 60 + "b",))("a" * 63)


def test_only_names_without_patterns_are_looked_up_by_name():
    assert Choice(("b", "a", "b")).names == ["a", "b"]
    assert Choice(("b", "a*")).names is None
    assert Choice(()).names is None
    assert Choice(()).matcher()("anything")


@given(
    st.lists(st.text(st.sampled_from("ab*"), max_size=6), min_size=1, max_size=3),
    st.text(st.sampled_from("ab"), max_size=8),
)
def test_patterns_match_what_a_regular_expression_does(patterns, name):
    forms = ["".join(".*" if sign == "*" else sign for sign in each) for each in patterns]
    assert matcher(patterns)(name) == any(re.fullmatch(each, name) for each in forms)
