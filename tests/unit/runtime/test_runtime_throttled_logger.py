"""A warning is logged once, when it changes, once a minute while it repeats, and at its end."""

import logging

from sensorpipe_runtime.throttled_log import ThrottledLogger
from support.hand_clock import HandClock

log = logging.getLogger(__name__)


def test_the_same_is_logged_once_and_again_after_a_minute(caplog):
    clock = HandClock()
    throttled = ThrottledLogger(log, clock=clock)
    shown = []
    for clock.now in (0.0, 1.0, 59.0, 60.0, 61.0):
        shown.append(throttled.warning("no Kafka", error="refused"))
    assert shown == [True, False, False, True, False]
    assert [(record.error, record.count) for record in caplog.records] == [
        ("refused", 1),
        ("refused", 4),
    ]


def test_another_reason_is_logged_at_once(caplog):
    throttled = ThrottledLogger(log, clock=HandClock())
    for error in ("refused", "unreachable", "unreachable", "refused"):
        throttled.warning("no Kafka", error=error)
    assert [record.error for record in caplog.records] == ["refused", "unreachable", "refused"]


def test_reasons_that_always_differ_are_logged_once_a_minute(caplog):
    caplog.set_level(logging.INFO)
    clock = HandClock()
    throttled = ThrottledLogger(log, on_change=False, clock=clock)
    throttled.resolved("again")
    for at in range(0, 150, 5):
        clock.now = float(at)
        throttled.warning("failed", error=f"at {at} s")
    throttled.resolved("again")
    throttled.resolved("again")
    throttled.warning("failed", error="anew")
    told = [(r.message, getattr(r, "error", None), r.count) for r in caplog.records]
    assert told == [
        ("failed", "at 0 s", 1),
        ("failed", "at 60 s", 13),
        ("failed", "at 120 s", 25),
        ("again", None, 30),
        ("failed", "anew", 1),
    ]


def test_after_a_reset_the_same_is_new_and_nothing_is_over(caplog):
    caplog.set_level(logging.INFO)
    throttled = ThrottledLogger(log, clock=HandClock())
    throttled.warning("no Kafka")
    throttled.reset()
    throttled.resolved("Kafka is back")
    throttled.warning("no Kafka")
    assert [(record.message, record.count) for record in caplog.records] == [
        ("no Kafka", 1),
        ("no Kafka", 1),
    ]
