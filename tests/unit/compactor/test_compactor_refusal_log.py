"""What the compactor warns of when messages are no readings."""

import logging

import pytest
from sensorpipe_compactor.refusal_log import MAX_WARNINGS, RefusalLog
from sensorpipe_compactor.windowing.kept_messages import DeadLetter

MINUTE_MS = 60_000


def letter(topic: str = "a/b", reason: str = "not_json") -> DeadLetter:
    return DeadLetter(1, topic, b"", reason, f"{reason}: why")


def shown(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    """Return topic, reason and detail of each warning so far, and forget them."""
    found = [
        (record.__dict__["topic"], record.__dict__["reason"], record.__dict__["detail"])
        for record in caplog.records
        if "topic" in record.__dict__
    ]
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    caplog.clear()
    return found


def test_the_first_of_each_reason_and_topic_in_a_minute_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = RefusalLog()
    log.note([letter(), letter(), letter("a/c"), letter(reason="too_old")], 5 * MINUTE_MS)
    assert shown(caplog) == [
        ("a/b", "not_json", "not_json: why"),
        ("a/c", "not_json", "not_json: why"),
        ("a/b", "too_old", "too_old: why"),
    ]
    log.note([letter()], 6 * MINUTE_MS - 1)
    assert shown(caplog) == []
    log.note([letter()], 6 * MINUTE_MS)
    assert shown(caplog) == [("a/b", "not_json", "not_json: why")]


def test_very_many_topics_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    log = RefusalLog()
    log.note([letter(f"t/{i}") for i in range(MAX_WARNINGS + 7)], MINUTE_MS)
    assert len(shown(caplog)) == MAX_WARNINGS
    log.note([], 2 * MINUTE_MS)
    (record,) = caplog.records
    assert record.__dict__["messages"] == 7


def test_foreign_text_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    RefusalLog().note([DeadLetter(1, "t" * 5000, b"", "bad_topic", "d" * 5000)], MINUTE_MS)
    ((topic, _, detail),) = shown(caplog)
    assert len(topic) == len(detail) == 200
