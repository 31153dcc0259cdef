"""A publisher that begins at 1 again under its old `src`, and what only looks like one."""

import logging

import pytest
from sensorpipe_compactor.reused import NAMED, WARN_EVERY_MS, ReusedSources
from sensorpipe_compactor.windows import Windows
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_schema.reading import Reading
from support.window_parts import NOW, of, when, windows

COUNT = 60


def run(since_ms: int, count: int = COUNT) -> list[Message]:
    """Return the readings of a publisher that started at this time, one a second."""
    return [of(Reading(since_ms + 1_000 * seq, 1.0, "a", seq)) for seq in range(1, count + 1)]


def taken(*runs: list[Message]) -> Windows:
    made, before = windows(), 0
    for messages in runs:
        made.add(messages, before, when(NOW + 300_000))
        before += len(messages)
    return made


def test_60_of_60_readings_of_a_publisher_that_began_again_are_told_apart():
    found = taken(run(NOW), run(NOW + 120_000))
    assert (found.duplicates, found.reused.total) == (COUNT, COUNT)


def test_readings_that_the_broker_sends_again_are_not():
    found = taken(run(NOW), run(NOW), run(NOW)[::-1])
    assert (found.duplicates, found.reused.total) == (2 * COUNT, 0)


def test_in_the_window_that_was_the_last_nobody_can_tell_them_apart():
    found = taken(run(NOW, 3), run(NOW + 4_000, 3))
    assert (found.duplicates, found.reused.total) == (3, 0)


def test_the_warning_names_facility_and_src_and_comes_once_a_minute(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.WARNING)
    reused = ReusedSources()
    reused.warn_if_due(0)
    assert not caplog.records
    for _ in range(3):
        reused.note("hall_1", "gw01")
        reused.warn_if_due(1)
    reused.warn_if_due(WARN_EVERY_MS)
    (first,) = caplog.records
    assert first.sources == [{"facility": "hall_1", "src": "gw01", "readings": 1}]  # type: ignore[attr-defined]  # extra
    for number in range(100):
        reused.note("hall_1", f"gw{number}")
    reused.warn_if_due(WARN_EVERY_MS + 1)
    _, second = caplog.records
    assert second.readings == 102  # type: ignore[attr-defined]  # extra
    assert len(second.sources) == NAMED  # type: ignore[attr-defined]  # extra
    assert reused.total == 103
