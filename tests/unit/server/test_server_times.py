"""Times of a query, as people, shells, browsers and Grafana write them."""

import pytest
from sensorpipe_server.api.times import TIME_RULE, Time, parse_time

NOW_MS = 1_795_773_600_000  # 2026-11-27T10:00:00Z


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:01.5z", 1500),
        ("1970-01-01 00:00:00.0001Z", 1),
        ("1970-01-01T00:00:00.0010000Z", 1),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T02:00:00 02:00", 0),  # an unescaped +
        ("1969-12-31T22:00:00-02:00", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2026-01-01T00:00:00.123456789Z", 1_767_225_600_124),
        ("2026-11-27", 1_795_737_600_000),
        ("1970-01-01", 0),
        ("0001-01-01", -62_135_596_800_000),
    ],
)
def test_a_time_of_the_calendar(text, milliseconds):
    assert parse_time(text, NOW_MS) == Time(milliseconds, is_relative=False)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("1795773600", NOW_MS),  # date +%s
        ("1795773600000", NOW_MS),  # Date.now(), Grafana's ${__from}
        ("1795773600.25", NOW_MS + 250),  # time.time()
        ("1795773600.000000001", NOW_MS + 1),
        ("1795773600000.0", NOW_MS),
        ("1795773600000.5", NOW_MS + 1),
        ("100000000", 100_000_000_000),
        ("99999999999", 99_999_999_999_000),
        ("100000000000", 100_000_000_000),
        ("253402300799999", 253_402_300_799_999),
    ],
)
def test_a_number_is_seconds_or_milliseconds_by_its_size(text, milliseconds):
    assert parse_time(text, NOW_MS) == Time(milliseconds, is_relative=False)


@pytest.mark.parametrize(
    ("text", "ago_ms"),
    [
        ("now", 0),
        ("-0s", 0),
        ("-90s", 90_000),
        ("-15m", 900_000),
        ("now-15m", 900_000),
        ("-24h", 86_400_000),
        ("-7d", 604_800_000),
        ("now-2w", 1_209_600_000),
    ],
)
def test_a_time_before_now(text, ago_ms):
    assert parse_time(text, NOW_MS) == Time(NOW_MS - ago_ms, is_relative=True)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "27.11.2026", "2026-1-2", "2026-13-01", "2026-02-30", "2026-01-01T25:00:00Z",
     "2026-01-01T00:00Z", "10:00", "1e9", "0x10", "٣", "9999-12-31T23:59:60Z"],
)  # fmt: skip
def test_what_is_no_time_is_quoted_with_all_that_is_allowed(text):
    with pytest.raises(ValueError, match="RFC 3339") as caught:
        parse_time(text, NOW_MS)
    assert TIME_RULE in str(caught.value)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["0.5", "1", "2026", "20260102", "99999999", "99999999.5", "1795773600000000",
     "1795773600000000000", "253402300800000", "9" * 5000],
)  # fmt: skip
def test_a_number_that_may_mean_something_else_is_refused(text):
    with pytest.raises(ValueError, match="a number must be") as caught:
        parse_time(text, NOW_MS)
    assert str(caught.value) == (
        "a number must be 0, seconds since 1970 from 100000000 to 99999999999, or milliseconds "
        f"from 100000000000 to 253402300799999; got {text!r}"
    )


@pytest.mark.parametrize(
    "text",
    ["-15", "-1.5h", "-1h30m", "-15M", "-1y", "-15 m", "--15m", "+1h", " 1h", "now+1h", "now-",
     "nowish", "-1795773600", "-9999999999999999m"],
)  # fmt: skip
def test_a_wrong_time_before_now_names_the_form(text):
    with pytest.raises(ValueError, match="a time before now must be") as caught:
        parse_time(text, NOW_MS)
    assert str(caught.value) == (
        "a time before now must be a whole number with s, m, h, d or w, such as -15m, -24h or -7d;"
        f" got {text!r}"
    )


def test_a_time_before_1970_is_refused_if_it_is_relative():
    with pytest.raises(ValueError, match="must not be before 1970-01-01; got '-99999d'"):
        parse_time("-99999d", NOW_MS)


def test_a_time_without_an_offset_is_ambiguous():
    with pytest.raises(ValueError, match=r"must end with Z or an offset such as \+02:00"):
        parse_time("2026-01-01T00:00:00", NOW_MS)
