"""When windows close, against a plain look at all of them; and what a look costs."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_compactor.windowing import open_windows
from sensorpipe_compactor.windowing.buffers import Window
from sensorpipe_compactor.windowing.open_windows import OpenWindows
from sensorpipe_compactor.windows import MOST_AT_ONCE, Windows
from sensorpipe_schema.reading import Reading
from support.examples import examples
from support.window_parts import LATENESS, NOW, WINDOW, of, take_all, when, windows

LONGEST = 2 * (WINDOW + LATENESS)

Key = tuple[str, int]


@dataclass
class Known:
    """What is known of a facility."""

    newest_ms: int = 0
    active_ms: int = 0


class Plain:
    """The rule of DESIGN: each window is looked at each time, by all that is known."""

    def __init__(self) -> None:
        self.facilities: dict[str, Known] = {}
        self.opened: dict[Key, tuple[int, int]] = {}
        """When each window was opened, and the number of its first message."""

    def take(self, facility: str, ts: int, number: int, now_ms: int) -> None:
        known = self.facilities.setdefault(facility, Known())
        known.newest_ms, known.active_ms = max(known.newest_ms, ts), now_ms
        self.opened.setdefault((facility, ts - ts % WINDOW), (now_ms, number))

    def due(self, now_ms: int) -> set[Key]:
        return {key for key in self.opened if self.is_due(key, now_ms)}

    def is_due(self, key: Key, now_ms: int) -> bool:
        facility, start = key
        known, (opened_ms, _) = self.facilities[facility], self.opened[key]
        waited, silent, closing = (
            now_ms - opened_ms,
            now_ms - known.active_ms,
            start + WINDOW + LATENESS,
        )
        if waited >= LONGEST or (known.newest_ms >= closing and waited >= LATENESS):
            return True
        return silent >= (LATENESS if now_ms >= closing else WINDOW + LATENESS)

    def lowest(self) -> int | None:
        return min((number for _, number in self.opened.values()), default=None)

    def remove(self, keys: set[Key]) -> None:
        for key in keys:
            del self.opened[key]


def key_of(window: Window) -> Key:
    return window.facility, window.start_ms


arrivals = st.lists(
    st.tuples(
        st.sampled_from(["f", "g", "h"]),
        st.sampled_from(["a", "b", None]),
        st.integers(0, 45_000),  # how late the reading is
        st.integers(0, 200).map(lambda steps: 50 * steps),  # the pause behind it
    ),
    min_size=1,
    max_size=40,
)


@examples(300)
@given(arrivals)
def test_windows_are_handed_out_when_a_look_at_all_of_them_would(
    sent: list[tuple[str, str | None, int, int]],
):
    taken, plain, now = windows(), Plain(), NOW
    seqs: dict[tuple[str, str | None], int] = {}
    for number, (facility, src, late, pause) in enumerate(sent, 1):
        seqs[facility, src] = seq = seqs.get((facility, src), 0) + 1
        reading = Reading(now - late, 1.0, src, seq if src is not None else 0)
        taken.add([of(reading, facility)], number - 1, when(now))
        plain.take(facility, reading.ts, number, now)
        for step in {now, now + pause // 100 * 50, now + pause}:
            handed = {key_of(window) for window in taken.take_due(when(step))}
            assert handed <= plain.due(step)
        now += pause
        due = plain.due(now)
        assert len(taken.open) == len(plain.opened) - len(due)
        plain.remove(due)
        assert taken.lowest_number() == plain.lowest()
    assert {key_of(window) for window in take_all(taken)} == set(plain.opened)


def many(count: int, ts: int = NOW) -> Windows:
    """Return windows of so many facilities with one reading each."""
    taken = windows()
    messages = [of(Reading(ts, 1.0, "a", 1), f"f{number}") for number in range(count)]
    taken.add(messages, 0, when(ts))
    return taken


def test_what_is_due_at_once_is_handed_out_in_slices_and_numbers_follow_them():
    count = 3 * MOST_AT_ONCE
    taken = many(count, NOW - 60_000)
    now, sizes, lowest = when(NOW), [], []
    while due := taken.take_due(now):
        sizes.append(len(due))
        lowest.append(taken.lowest_number())
    assert sum(sizes) == count
    assert max(sizes) == MOST_AT_ONCE
    assert lowest[-1] is None
    assert sorted(number for number in lowest if number) == lowest[:-1]


def test_a_facility_with_many_windows_is_divided_among_slices():
    taken = windows()
    count = MOST_AT_ONCE + 10
    messages = [of(Reading(NOW - WINDOW * number, 1.0, "a", number + 1)) for number in range(count)]
    taken.add(messages, 0, when(NOW))
    sizes = []
    while due := taken.take_due(when(NOW + LONGEST)):
        sizes.append(len(due))
    assert sizes == [MOST_AT_ONCE, 10]


def test_windows_of_many_facilities_close_apart_and_those_of_few_at_once():
    few, taken = many(9), many(20_000)
    assert len(few.take_due(when(NOW + WINDOW + LATENESS))) == 9
    counts = []
    for step in range(22):
        due = 0
        while slice_ := taken.take_due(when(NOW + WINDOW + LATENESS + 50 * step)):
            due += len(slice_)
        counts.append(due)
    assert sum(counts) == 20_000
    assert counts[-1] == 0, "all within a second"
    assert max(counts) < 3_000


def test_a_look_at_nothing_due_touches_no_facility(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(*_: object) -> None:
        raise AssertionError("a facility was looked at")

    taken = many(1_000)
    monkeypatch.setattr(OpenWindows, "_take_due_of", looked)
    for step in range(100):
        assert taken.take_due(when(NOW + 50 * step)) == []


def test_what_was_ahead_and_is_older_has_the_lowest_number():
    taken = windows()
    taken.open.window(taken.open.add_source("f"), NOW, 100, when(NOW), 0)
    taken.open.window(taken.open.add_source("g"), NOW, 5, when(NOW), 0)
    taken.open.window(taken.open.add_source("h"), NOW, 50, when(NOW), 0)
    taken.open.window(taken.open.add_source("i"), NOW, 101, when(NOW), 0)
    order = []
    while (window := taken.take_oldest(1_000, 1)) != []:
        order.append(window[0].first_number)
    assert order == [5, 50, 100, 101]


def test_an_open_window_gets_the_lower_number_of_what_was_ahead():
    taken = windows()
    home = taken.open.add_source("f")
    taken.open.window(home, NOW, 100, when(NOW), 0)
    other = taken.open.add_source("g")
    taken.open.window(other, NOW, 200, when(NOW), 0)
    taken.open.window(other, NOW, 7, when(NOW), 0)
    assert taken.lowest_number() == 7
    assert [window.facility for window in taken.take_oldest(50)] == ["g"]
    assert taken.lowest_number() == 100


def test_facilities_that_are_not_due_after_all_are_looked_at_in_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_windows, "_MOST_LOOKED", 10)
    taken = many(25)
    later = NOW + WINDOW + LATENESS - 1
    again = [of(Reading(NOW + WINDOW - 1, 1.0, "a", 2), f"f{number}") for number in range(25)]
    taken.add(again, 25, when(later))  # their windows stay open for another while
    looks = 0
    while taken.take_due(when(later + 60)) or taken.open.is_behind:
        looks += 1
    assert looks == 2
    assert len(taken.open) == 25
