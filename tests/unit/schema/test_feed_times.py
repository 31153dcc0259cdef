"""Times of devices."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sensorpipe_schema.feed.times import BadTimeError, to_ms
from sensorpipe_schema.feed.values import RefusedMessageError
from support.feeds import decoded

BERLIN = ZoneInfo("Europe/Berlin")


def at(value: str, form: str = "auto", timezone: str | None = None) -> int:
    """Return the time of a message whose time is `value`, as JSON."""
    spec: dict[str, Any] = {
        "readings": [{"sensor": "t", "at": "/t"}],
        "time": {"at": "/at", "format": form},
    }
    (found,) = decoded(f'{{"t": 1, "at": {value}}}', **spec, timezone=timezone)
    return found.ts


@pytest.mark.parametrize(
    ("value", "ts"),
    [
        ("1657878122", 1657878122000),
        ("1657878122.44", 1657878122440),
        ("1657878122441", 1657878122441),
        ("1657878122441999", 1657878122441),
        ("1657878122441500000", 1657878122441),
        ('"1657878122"', 1657878122000),
        ('"2022-07-18T09:34:15.775023242+00:00"', 1658136855775),
        ('"2022-07-18T11:34:15.775+02:00"', 1658136855775),
        ('"2022-07-18 09:34:15Z"', 1658136855000),
    ],
)
def test_auto_tells_the_format(value: str, ts: int) -> None:
    assert at(value) == ts
    assert at(value, timezone="Europe/Berlin") == ts


@pytest.mark.parametrize(
    ("form", "value", "ts"),
    [("s", "5", 5000), ("ms", "5", 5), ("us", "5000", 5), ("ns", "5000000", 5)],
)
def test_a_given_format_is_kept_to(form: str, value: str, ts: int) -> None:
    assert at(value, form) == ts


@pytest.mark.parametrize(
    ("local", "ts"),
    [
        ("2019-01-01T00:00:00", 1546297200000),
        ("2019-07-01T00:00:00", 1561932000000),
        ("2019-10-27T02:30:00", 1572136200000),  # twice that night: the first
        ("2019-03-31T02:30:00", 1553995800000),  # not on any clock that night
    ],
)
def test_a_time_without_a_zone_is_one_of_the_given_zone(local: str, ts: int) -> None:
    assert at(f'"{local}"', timezone="Europe/Berlin") == ts


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        ('"2019-01-01T00:00:00"', "bad_time", "/at: has no time zone: give spec.timezone"),
        ('"yesterday"', "bad_time", "/at: must be a Unix time or RFC 3339; got 'yesterday'"),
        ("true", "bad_time", "/at: must be a Unix time or RFC 3339; got True"),
        ("[]", "bad_time", "/at: must be a Unix time or RFC 3339; got []"),
        ("1e30", "bad_time", "/at: 1e+30 is no time"),
        ("null", "no_time", "/at is missing"),
    ],
)
def test_what_is_no_time_is_refused(value: str, reason: str, detail: str) -> None:
    with pytest.raises(RefusedMessageError) as caught:
        at(value)
    assert (caught.value.reason, caught.value.detail) == (reason, f"Feed test: {detail}")


def test_a_message_without_values_needs_no_time() -> None:
    assert decoded("{}", readings=[{"sensor": "t", "at": "/t"}], time={"at": "/at"}) == []


@pytest.mark.parametrize("form", ["s", "rfc3339"])
def test_the_other_kind_is_refused_where_a_format_is_given(form: str) -> None:
    with pytest.raises(BadTimeError):
        to_ms(1.0 if form == "rfc3339" else "2019-01-01T00:00:00Z", form, BERLIN)
