"""From which time on readings are certainly new, where a clock decides that may be wrong."""

import pytest
from sensorpipe_compactor.epoch.horizon import NEVER, Horizon
from sensorpipe_compactor.windows import Windows
from sensorpipe_schema.reading import MAX_AHEAD_MS, Reading
from support.window_parts import NOW, of, take_all, when, windows

HOUR = 3_600_000
MINUTE = 60_000


def unsure(newest_ms: int = 0) -> Windows:
    """Return the windows of a start that Kafka told nothing."""
    made = windows()
    made.horizon = Horizon(newest_ms, is_known=False)
    return made


class Feed:
    """Gives windows a reading of each of some sources, on a clock that may be wrong."""

    def __init__(self, taken: Windows) -> None:
        self.taken = taken
        self.count = 0

    def at(self, ms: int, ago: dict[str, int], stepped: int = 0) -> list[bool]:
        """Return whether the windows that come out are itemized; `ago` is how old readings are."""
        self.count += 1
        now = when(NOW + ms, stepped)
        sent = [of(Reading(NOW + ms - old, 1.0, src, self.count)) for src, old in ago.items()]
        self.taken.add(sent, len(ago) * (self.count - 1), now)
        self.taken.judge_ahead(now)
        return [window.itemized for window in take_all(self.taken)]


def test_what_kafka_tells_is_the_horizon_whatever_the_clock_does():
    taken = windows()
    taken.horizon = Horizon(NOW)
    feed = Feed(taken)
    assert feed.at(0, {"a": 1}) == [True]
    assert feed.at(1, {"a": 1}) == [False]
    assert feed.at(HOUR, {"a": HOUR}, HOUR) == [False]


def test_readings_are_certain_a_minute_after_sources_have_confirmed_the_clock_for_one():
    feed = Feed(unsure())
    horizon = 2 * MINUTE + 1
    assert [feed.at(ms, {"a": 0}) for ms in (0, MINUTE - 1, MINUTE, horizon - 1)] == [[True]] * 4
    assert feed.at(horizon, {"a": 0}) == [False]
    assert feed.at(horizon + 1, {"a": 2}) == [True]


def test_while_topics_are_taken_over_no_reading_is_certain():
    taken = windows()
    taken.horizon = Horizon(NOW - HOUR, is_shared=True)
    feed = Feed(taken)
    assert [feed.at(ms, {"a": 0}) for ms in range(0, 5 * MINUTE, MINUTE)] == [[True]] * 5
    assert taken.horizon.ms == NEVER


def test_the_minute_begins_with_the_first_reading_and_not_with_the_start():
    """What is sent again may come first, and seem right to a clock that is as far behind."""
    feed = Feed(unsure())
    for ms in (0, 2 * MINUTE):
        assert feed.taken.judge_ahead(when(NOW + ms, -HOUR)) is None  # the broker is away
    assert feed.at(3 * MINUTE, {"again": HOUR}, -HOUR) == [True]
    assert feed.at(3 * MINUTE + 1, {"again": HOUR}, -HOUR) == [True]
    assert feed.taken.horizon.ms == NEVER
    for ms in (3 * MINUTE + 2, 5 * MINUTE):
        assert feed.at(ms, {"a": 0, "b": 0}, -HOUR) == []  # as old as they say, and held
    assert feed.taken.horizon.ms == NEVER


def test_a_horizon_beyond_what_the_clock_gives_stays():
    feed = Feed(unsure(NOW + HOUR))
    feed.at(0, {"a": 0})
    feed.at(MINUTE, {"a": 0})
    assert feed.taken.horizon.ms == NOW + HOUR


def test_a_clock_that_is_behind_gives_no_horizon_until_it_is_right():
    feed = Feed(unsure())
    for ms in range(0, 3 * MINUTE, MINUTE):
        assert feed.at(ms, {"a": 0, "b": 0}, -HOUR) == []  # they wait
    # what is sent again meanwhile is as old as the clock is behind
    assert feed.at(3 * MINUTE, {"c": HOUR}, -HOUR) == [True]
    right = 5 * MINUTE
    for ms in (4 * MINUTE, right):
        assert set(feed.at(ms, {"a": 0, "b": 0})) == {True}
    assert feed.taken.horizon.ms == NOW + right + MAX_AHEAD_MS + 1


@pytest.mark.parametrize("stepped", [HOUR, 8760 * HOUR])
def test_a_clock_that_is_ahead_does_not_leave_its_horizon_behind(stepped: int):
    """The minute begins once it is right."""
    feed = Feed(unsure())
    for ms in (0, MINUTE):
        feed.at(ms, {"a": 0}, stepped=stepped + HOUR)
    assert feed.taken.horizon.ms == NEVER
    for ms in (2 * MINUTE, 3 * MINUTE):
        feed.at(ms, {"a": 0})
    assert feed.taken.horizon.ms == NOW + 3 * MINUTE + MAX_AHEAD_MS + 1


def test_a_clock_that_was_confirmed_and_is_set_forward_gives_a_new_horizon():
    """All its sources ran on the same machine before it learnt the time."""
    feed = Feed(unsure())
    for ms in (0, MINUTE, 3 * MINUTE):
        feed.at(ms, {"a": HOUR}, -HOUR)
    assert feed.at(4 * MINUTE, {"a": HOUR}, -HOUR) == [False]
    assert feed.at(5 * MINUTE, {"a": 0, "again": 30 * MINUTE}) == [True, True]
    assert feed.at(6 * MINUTE + 1, {"a": 0}) == [True]
    assert feed.at(7 * MINUTE + 2, {"a": 0}) == [False]


@pytest.mark.parametrize("live", [{"a": 0}, {"a": 0, "b": 0}])
def test_a_clock_that_only_late_sources_confirmed_is_doubted_once_others_send(
    live: dict[str, int],
):
    """What came first was for over a minute exactly as late as our clock is behind."""
    feed = Feed(unsure())
    late = {"late": HOUR}
    for ms in range(0, 3 * MINUTE, MINUTE // 2):
        feed.at(ms, late, -HOUR)
    assert feed.at(3 * MINUTE, late, -HOUR) == [False]
    feed.at(3 * MINUTE + 1, late | live, -HOUR)
    assert feed.taken.horizon.ms == NEVER
    assert feed.at(4 * MINUTE, late | live, -HOUR) == [True]
    for ms in (5 * MINUTE, 6 * MINUTE):
        assert set(feed.at(ms, live)) == {True}
    assert feed.taken.horizon.ms == NOW + 6 * MINUTE + MAX_AHEAD_MS + 1


def test_a_confirmed_clock_that_is_set_back_stays_confirmed():
    feed = Feed(unsure())
    for ms in (0, MINUTE):
        feed.at(ms, {"a": 0, "b": 0})
    horizon = feed.taken.horizon.ms
    for ms in (2 * MINUTE, 3 * MINUTE):
        feed.at(ms, {"a": 0, "b": 0}, -HOUR)
        assert feed.taken.horizon.ms == horizon
    assert feed.at(4 * MINUTE, {"a": 0, "b": 0})[-1] is False


def test_a_clock_set_back_and_right_again_changes_nothing():
    feed = Feed(unsure())
    for ms in (0, MINUTE, 3 * MINUTE):
        feed.at(ms, {"a": 0})
    assert feed.at(4 * MINUTE, {"a": HOUR}, -HOUR) == [True]
    assert feed.at(5 * MINUTE, {"a": 0}) == [False]


def test_a_run_ends_where_the_horizon_rises():
    taken = unsure()
    taken.horizon = Horizon()
    taken.add([of(Reading(NOW, 1.0, "a", seq)) for seq in (1, 2)], 0, when(NOW))
    taken.horizon = Horizon(NOW + HOUR)
    taken.add([of(Reading(NOW, 1.0, "a", seq)) for seq in (3, 4)], 2, when(NOW))
    assert [(window.itemized, window.count) for window in take_all(taken)] == [
        (False, 2),
        (True, 2),
    ]
