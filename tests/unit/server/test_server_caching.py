"""An answer is called immutable only where neither late partials nor retention can change it."""

import pytest
from sensorpipe_server.api.caching import CacheRules
from sensorpipe_server.api.times import FixedRange
from sensorpipe_server.storage.rollups.state import State

DAY_MS = 86_400_000
NOW_MS = 20_000 * DAY_MS
LATENESS_MS = 2_000
FINAL_MS = NOW_MS - 8 * DAY_MS - LATENESS_MS
"""The last end of a range that is final: 7 days, the lateness and a day before what is stored."""
YEAR = 31_536_000


def seconds(from_ms, to_ms, *, kept_ms=None, done_ms=NOW_MS, removed_ms=0):
    rules = CacheRules(LATENESS_MS, kept_ms)
    state = State(done_ms=done_ms, removed={"windows": removed_ms} if removed_ms else {})
    return rules.seconds(FixedRange(from_ms, to_ms), state, NOW_MS)


def test_a_range_is_final_7_days_the_lateness_and_a_day_after_its_end():
    assert seconds(0, FINAL_MS) == YEAR
    assert seconds(0, FINAL_MS + 1) == 0


@pytest.mark.parametrize("behind_ms", [1, 3 * DAY_MS])
def test_while_the_server_is_behind_a_range_is_not_final(behind_ms):
    assert seconds(0, FINAL_MS, done_ms=NOW_MS - behind_ms) == 0
    assert seconds(0, FINAL_MS - behind_ms, done_ms=NOW_MS - behind_ms) == YEAR


def test_a_facility_without_rollups_has_nothing_final():
    assert seconds(0, FINAL_MS, done_ms=0) == 0


def test_windows_ahead_of_the_clock_make_nothing_final_sooner():
    assert seconds(0, FINAL_MS + 1, done_ms=NOW_MS + 100 * DAY_MS) == 0


def test_an_answer_is_kept_at_most_until_retention_removes_its_first_window():
    kept_ms = 30 * DAY_MS
    assert seconds(NOW_MS - 20 * DAY_MS, FINAL_MS, kept_ms=kept_ms) == 10 * 86_400
    assert seconds(NOW_MS - kept_ms + 3_600_000, FINAL_MS, kept_ms=kept_ms) == 3600
    assert seconds(NOW_MS - kept_ms + 3_599_999, FINAL_MS, kept_ms=kept_ms) == 0
    assert seconds(0, FINAL_MS, kept_ms=kept_ms) == 0
    assert seconds(NOW_MS - 20 * DAY_MS, FINAL_MS, kept_ms=1000 * DAY_MS) == YEAR


def test_a_range_that_is_partly_removed_is_not_kept():
    assert seconds(1000, FINAL_MS, removed_ms=1001) == 0
    assert seconds(1000, FINAL_MS, removed_ms=1000) == YEAR
