"""Windows while the wall clock is stepped, and while a facility's own time stands still."""

from sensorpipe_schema.reading import Reading
from support.window_parts import LATENESS, NOW, WINDOW, of, when, windows

HOUR = 3_600_000
START = NOW - NOW % WINDOW
LONGEST = 2 * (WINDOW + LATENESS)


def test_a_window_is_due_after_its_own_length_where_the_clock_was_set_back_an_hour():
    taken = windows()
    taken.add([of(Reading(START, 1.0, "a", 1))], 0, when(START))
    assert taken.take_due(when(START, -HOUR)) == []
    due_at = START + WINDOW + LATENESS  # once it was START + an hour and 2 s
    assert taken.take_due(when(due_at - 1, -HOUR)) == []
    assert len(taken.take_due(when(due_at, -HOUR))) == 1


def test_a_late_window_is_due_after_lateness_where_the_clock_was_set_back_an_hour():
    taken = windows()
    readings = [of(Reading(START, 1.0, "a", 1)), of(Reading(START + 2 * WINDOW, 1.0, "a", 2))]
    taken.add(readings, 0, when(NOW))
    assert taken.take_due(when(NOW + LATENESS - 1, -HOUR)) == []
    assert len(taken.take_due(when(NOW + LATENESS, -HOUR))) == 1


def test_a_clock_set_forward_closes_no_window_of_a_facility_that_goes_on():
    taken = windows()
    taken.add([of(Reading(START, 1.0, "a", 1))], 0, when(START))
    assert taken.take_due(when(START + LATENESS - 1, HOUR)) == []


def test_a_facility_whose_time_stands_still_has_its_window_handed_out():
    taken = windows()
    counts: list[int] = []
    for second in range(50):
        now = when(START + 1_000 * second)
        taken.add([of(Reading(START, 1.0, "a", second + 1))], second, now)
        counts += [window.count for window in taken.take_due(now)]
    assert counts == [LONGEST // 1_000 + 1, LONGEST // 1_000 + 1]  # once it was never
    assert taken.late == 0
