"""Why readings are itemized, as the log tells it."""

import pytest
from sensorpipe_compactor.clock_check import ClockCheck, Instant
from sensorpipe_compactor.epoch.horizon import Horizon
from sensorpipe_compactor.itemizing_log import ItemizingLog
from sensorpipe_schema.reading import MAX_AHEAD_MS
from support.window_parts import NOW, WINDOW, when

MINUTE, HOUR = 60_000, 3_600_000


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level("INFO", "sensorpipe_compactor.itemizing_log")
    return caplog


def lines(said: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Return level and message of what was logged since the last call."""
    found = [(one.levelname, one.getMessage()) for one in said.records]
    said.clear()
    return found


def test_a_line_that_is_far_ahead_is_reported_until_it_is_reached(said: pytest.LogCaptureFixture):
    itemizing, horizon = ItemizingLog(WINDOW), Horizon(NOW + HOUR)
    itemizing.update(horizon, when(NOW), 5)
    (record,) = said.records
    assert (record.certain_from_ms, record.seconds_left) == (NOW + HOUR, 3600)  # type: ignore[attr-defined]
    assert record.itemized == 5  # type: ignore[attr-defined]
    ((level, message),) = lines(said)
    assert level == "WARNING"
    assert "a clock is wrong, or was when they were stored" in message
    itemizing.update(horizon, when(NOW + 1_000), 9)
    assert lines(said) == []  # the next only after a minute
    itemizing.update(horizon, when(NOW + HOUR), 9)
    assert lines(said) == [("INFO", "New readings are certain again")]
    itemizing.update(horizon, when(NOW + HOUR), 9)
    assert lines(said) == []


@pytest.mark.parametrize("ahead", [0, WINDOW, MAX_AHEAD_MS + WINDOW])
def test_what_timely_readings_reach_is_nothing_to_tell(said: pytest.LogCaptureFixture, ahead: int):
    itemizing = ItemizingLog(WINDOW)
    itemizing.update(Horizon(NOW + ahead), when(NOW), 5)
    itemizing.update(Horizon(NOW + ahead), when(NOW + ahead), 9)
    assert lines(said) == []


def test_a_clock_that_nobody_confirms_is_reported_after_two_minutes(said: pytest.LogCaptureFixture):
    itemizing, horizon = ItemizingLog(WINDOW), Horizon(is_known=False)
    itemizing.update(horizon, when(NOW), 1)
    itemizing.update(horizon, when(NOW + 2 * MINUTE - 1), 2)
    assert lines(said) == []
    itemizing.update(horizon, when(NOW + 2 * MINUTE), 3)
    ((level, message),) = lines(said)
    assert level == "WARNING"
    assert "until sources confirm this machine's clock" in message
    confirmed = confirm(horizon, when(NOW + 2 * MINUTE))
    itemizing.update(horizon, confirmed, 4)
    assert lines(said) == []  # those of this minute still are itemized
    itemizing.update(horizon, when(horizon.newest_ms), 4)
    assert lines(said) == [("INFO", "New readings are certain again")]


def confirm(horizon: Horizon, begun: Instant) -> Instant:
    """Let a source confirm the clock; return when that was."""
    clock, later = ClockCheck(), when(begun.wall_ms + MINUTE)
    clock.note("a", "hall/a", begun.wall_ms, begun)
    horizon.look(begun, clock)
    clock.note("a", "hall/a", later.wall_ms, later)
    horizon.look(later, clock)
    assert horizon.is_sure
    return later


def test_nothing_is_reported_while_nothing_is_itemized(said: pytest.LogCaptureFixture):
    itemizing, horizon = ItemizingLog(WINDOW), Horizon(is_known=False)
    for minute in range(5):
        itemizing.update(horizon, when(NOW + minute * MINUTE), 0)
    assert lines(said) == []


def test_what_the_settings_have_itemized_is_reported_as_such(said: pytest.LogCaptureFixture):
    itemizing, horizon = ItemizingLog(WINDOW), Horizon(NOW, is_shared=True)
    itemizing.update(horizon, when(NOW), 1)
    itemizing.update(horizon, when(NOW + 2 * MINUTE), 3)
    ((level, message),) = lines(said)
    assert level == "WARNING"
    assert "SENSORPIPE_TAKING_OVER is true" in message
