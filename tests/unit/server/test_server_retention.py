"""For how long each level is kept, as the setting says it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_runtime.settings import SettingsError
from sensorpipe_server.settings import Settings
from sensorpipe_server.storage.rollups.retention import DEFAULT, LEVELS, Retention, parse

DAY = 86_400_000


def test_the_default_is_that_of_the_contract():
    assert DEFAULT == "windows:30d,5m:180d,1h:5y,1d:forever"
    kept = Settings.read({}).retention
    assert kept == parse(DEFAULT) == Retention(30 * DAY, 180 * DAY, 5 * 365 * DAY, None)
    assert [kept.of(level) for level in LEVELS] == [30 * DAY, 180 * DAY, 1825 * DAY, None]


def test_levels_may_come_in_any_order_and_the_others_stay():
    assert parse("1h:6y, windows:200h") == Retention(200 * DAY // 24, 180 * DAY, 2190 * DAY, None)
    everything = ",".join(f"{level}:forever" for level in LEVELS)
    assert parse(everything) == Retention(None, None, None, None)
    assert parse(",".join(f"{level}:8d" for level in LEVELS)) == Retention(*[8 * DAY] * 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be LEVEL:DURATION, with LEVEL one of windows, 5m, 1h, 1d; got ''"),
        ("30d", "must be LEVEL:DURATION, with LEVEL one of windows, 5m, 1h, 1d; got '30d'"),
        ("10m:30d", "with LEVEL one of windows, 5m, 1h, 1d; got '10m:30d'"),
        ("windows:30d,windows:31d", "windows must be named once"),
        *(
            (f"5m:{wrong}", "5m must be kept for a whole number with h, d or y, such as 36h, ")
            for wrong in ("", "0d", "-1d", "1.5d", "90", "90m", "101y", "never", "٣d", "1h30m")
        ),
        ("windows:191h", "windows must be kept for at least 8d, as readings may come 7d late; "),
        ("windows:1y", "5m must be kept at least as long as windows, 1y; got '180d'"),
        ("windows:forever", "5m must be kept at least as long as windows, forever; got '180d'"),
        ("1d:4y", "1d must be kept at least as long as 1h, 5y; got '4y'"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_allowed(text: str, said: str):
    with pytest.raises(ValueError, match="must be") as caught:
        parse(text)
    assert said in str(caught.value)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(SettingsError) as caught:
        Settings.read(
            {"SENSORPIPE_RETENTION": "windows:2d,5m:never,1d:1d,2d:1d", "SENSORPIPE_HTTP": "x"}
        )
    address, retention = caught.value.problems
    assert address.startswith("SENSORPIPE_HTTP: ")
    assert retention.startswith("SENSORPIPE_RETENTION: must be LEVEL:DURATION")
    for level in ("windows must", "5m must", "1d must"):
        assert f"; {level} be kept" in retention


@given(st.lists(st.tuples(st.integers(1, 100), st.sampled_from("hdy")), min_size=4, max_size=4))
def test_what_is_taken_is_kept_no_shorter_than_the_level_below(durations):
    text = ",".join(
        f"{level}:{number}{unit}" for level, (number, unit) in zip(LEVELS, durations, strict=True)
    )
    hours = [number * {"h": 1, "d": 24, "y": 8760}[unit] for number, unit in durations]
    if sorted(hours) == hours and hours[0] >= 192:
        assert [parse(text).of(level) for level in LEVELS] == [h * DAY // 24 for h in hours]
    else:
        with pytest.raises(ValueError, match="must be kept"):
            parse(text)
