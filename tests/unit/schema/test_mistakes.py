"""What is guessed of the mistake behind a message that is no reading."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema.mistakes import as_name
from sensorpipe_schema.names import BadTopicError, split_topic
from sensorpipe_schema.reading import BadReadingError, decode

NOW = 1_795_653_109_000
NANOSECONDS = (
    "ahead_of_time: ts 1795653109000000123 looks like nanoseconds; milliseconds are expected"
)


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        (
            '{"ts": 1795653109, "val": 1}',
            "too_old: ts 1795653109 looks like seconds; milliseconds are expected",
        ),
        (
            '{"ts": 1795653109000000, "val": 1}',
            "ahead_of_time: ts 1795653109000000 looks like microseconds; milliseconds are expected",
        ),
        (
            '{"ts": 1795653109000000123, "val": 1}',
            NANOSECONDS,
        ),
        ('{"ts": 5, "val": 1}', "too_old: ts 5 is more than 7 days ago"),
        (
            '{"ts": 1795653109000, "val": "20.1"}',
            "bad_val: val is the string '20.1'; a number is expected",
        ),
        ('{"ts": 1795653109000, "val": true}', "bad_val: val is true; a number is expected"),
        ('{"ts": 1795653109000, "val": null}', "bad_val: val is null; a number is expected"),
        (
            '{"ts": "2026-11-27T12:00:00Z", "val": 1}',
            "bad_ts: ts is the string '2026-11-27T12:00:00Z'; a whole number is expected",
        ),
        (
            '{"ts": 1795653109000.5, "val": 1}',
            "bad_ts: ts is 1795653109000.5; a whole number is expected",
        ),
        (
            '{"ts": 1795653109000, "value": 1}',
            "no_val: val is missing (a number); the keys are 'ts', 'value'",
        ),
        ("{}", "no_ts: ts is missing (a whole number); the keys are none"),
    ],
)
def test_the_detail_says_what_was_meant(payload: str, detail: str) -> None:
    with pytest.raises(BadReadingError) as caught:
        decode(payload.encode(), NOW)
    assert str(caught.value) == detail


@pytest.mark.parametrize(
    ("topic", "near"),
    [
        ("sensor_readings/Hall 2/temperature", "; 'hall_2' is one"),
        ("sensor_readings/hall/Temp", "; 'temp' is one"),
        ("sensor_readings/°/x", "letter or digit"),
    ],
)
def test_a_name_that_comes_close_is_named(topic: str, near: str) -> None:
    with pytest.raises(BadTopicError) as caught:
        split_topic(topic)
    assert str(caught.value).endswith(near)


@given(st.text(st.sampled_from("aZ0_- .éK"), max_size=80) | st.text(max_size=200))
def test_a_name_is_what_is_left_of_a_text(text: str) -> None:
    replaced = re.sub(r"[^a-z0-9_-]", "_", text.lower())
    assert as_name(text) == replaced.strip("_-")[:63].rstrip("_-")
