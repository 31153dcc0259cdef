"""Windows are reduced in slices that do not hold the event loop for long."""

from sensorpipe_compactor.partials.slices import MAX_READINGS, slices
from sensorpipe_compactor.windowing.buffers import Portion, Window


def window(facility: int, *counts: int) -> Window:
    """Return a window with a sensor for each number of readings."""
    made = Window(f"f{facility}", 0, 10_000, 1, 0, late=False)
    for number, count in enumerate(counts):
        made.portions.append(Portion(f"s{number}", "a", values=[1.0] * count, first=1, last=count))
    return made


def test_a_slice_has_so_many_readings():
    some = [window(number, MAX_READINGS // 4) for number in range(7)]
    found = list(slices(some))
    assert [len(each) for each in found] == [3, 3, 1]
    assert [each for one in found for each in one] == some


def test_sources_count_since_each_takes_its_time():
    some = [window(number, *[1] * 100) for number in range(100)]
    found = list(slices(some))
    assert [each for one in found for each in one] == some
    assert 4 < len(found) < 8


def test_a_window_with_more_is_a_slice_by_itself():
    small, large, last = window(1, 1), window(2, MAX_READINGS), window(3, 1)
    assert list(slices([small, large, last])) == [[small], [large], [last]]


def test_no_windows_are_no_slices():
    assert list(slices([])) == []
