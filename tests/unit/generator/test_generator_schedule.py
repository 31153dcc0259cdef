"""The schedule: absolute, even, and each reading due exactly once."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_generator.schedule import Schedule

NOW = 1_700_000_000_123

schedules = st.builds(
    Schedule.after, st.just(NOW), st.integers(10, 3_600_000), st.integers(1, 5_000)
)


@given(schedules)
def test_it_starts_at_the_next_multiple_of_the_interval(schedule: Schedule) -> None:
    assert schedule.start_ms % schedule.interval_ms == 0
    assert NOW <= schedule.start_ms < NOW + schedule.interval_ms


@given(schedules, st.integers(0, 10**9), st.data())
def test_no_tick_drifts(schedule: Schedule, tick: int, data: st.DataObject) -> None:
    device = data.draw(st.integers(0, schedule.count - 1))
    exact = (
        schedule.start_ms
        + tick * schedule.interval_ms
        + Fraction(device * schedule.interval_ms, schedule.count)
    )
    assert schedule.time_of(tick * schedule.count + device) == int(exact)


@given(schedules)
def test_devices_are_spread_over_the_interval(schedule: Schedule) -> None:
    offsets = schedule.offsets_ms().tolist()
    assert offsets == [schedule.time_of(d) - schedule.start_ms for d in range(schedule.count)]
    gaps = {late - early for early, late in pairwise([*offsets, schedule.interval_ms])}
    assert max(gaps) - min(gaps) <= 1


@given(schedules, st.integers(0, 10**7))
def test_due_is_the_inverse_of_time(schedule: Schedule, slot: int) -> None:
    time = schedule.time_of(slot)
    assert schedule.due(time) > slot
    assert schedule.due(time - 1) <= slot


@given(schedules, st.lists(st.integers(0, 30_000), min_size=1, max_size=30))
def test_each_slot_is_due_once_whenever_one_looks(schedule: Schedule, waits: list[int]) -> None:
    now, done = NOW, 0
    for wait in waits:
        now += wait
        due = schedule.due(now)
        assert due >= done
        if due > done:
            assert schedule.time_of(due - 1) <= now < schedule.time_of(due)
        done = due
    ended = max(0, now - schedule.start_ms + 1)
    assert done >= ended * schedule.count // schedule.interval_ms


def test_nothing_is_due_before_the_start() -> None:
    schedule = Schedule.after(NOW, 1000, 3)
    assert [schedule.due(schedule.start_ms - ms) for ms in (1, 500, 10**9)] == [0, 0, 0]
    assert [schedule.due(schedule.start_ms + ms) for ms in (0, 332, 333, 666, 999, 1000)] == [
        *(1, 1, 2, 3, 3, 4)
    ]


@given(schedules, st.integers(1, 10**10))
def test_moving_back_keeps_the_grid(schedule: Schedule, milliseconds: int) -> None:
    moved = schedule.moved_back(milliseconds)
    assert moved.start_ms % moved.interval_ms == 0
    assert milliseconds <= schedule.start_ms - moved.start_ms < milliseconds + moved.interval_ms


@pytest.mark.parametrize(("interval_ms", "count"), [(1000, 1000), (10, 100_000), (5000, 1)])
def test_a_long_run_counts_exactly(interval_ms: int, count: int) -> None:
    schedule = Schedule.after(NOW, interval_ms, count)
    year = 365 * 86_400_000 // interval_ms
    assert schedule.due(schedule.start_ms + year * interval_ms - 1) == year * count
