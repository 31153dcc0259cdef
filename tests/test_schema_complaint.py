"""A complaint is made once, again when it changes, and again every five minutes."""

import logging

from sensorpipe_schema.complaint import Complaint

log = logging.getLogger(__name__)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_same_is_said_once_and_again_after_five_minutes(caplog):
    clock = Clock()
    complaint = Complaint(log, clock)
    for clock.now in (0.0, 1.0, 299.0, 300.0, 301.0):
        complaint.say("no Kafka", error="refused")
    assert [record.error for record in caplog.records] == ["refused", "refused"]


def test_another_reason_is_said_at_once(caplog):
    complaint = Complaint(log, Clock())
    for error in ("refused", "unreachable", "unreachable", "refused"):
        complaint.say("no Kafka", error=error)
    assert [record.error for record in caplog.records] == ["refused", "unreachable", "refused"]


def test_that_it_is_over_is_said_only_where_something_was(caplog):
    caplog.set_level(logging.INFO)
    complaint = Complaint(log, Clock())
    complaint.settled("Kafka is back")
    complaint.say("no Kafka")
    complaint.settled("Kafka is back")
    complaint.settled("Kafka is back")
    complaint.say("no Kafka")
    assert [record.message for record in caplog.records] == [
        "no Kafka",
        "Kafka is back",
        "no Kafka",
    ]
