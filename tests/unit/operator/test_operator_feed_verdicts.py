"""Whether a Feed is ready, from what the compactor reports; and the numbers of its status."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from sensorpipe_operator.feeds.feed_status import (
    Rates,
    build_feed_status,
    differs_only_in_numbers,
    two_digits,
)
from sensorpipe_operator.feeds.merge import ACCEPTED, Merged, merge
from sensorpipe_operator.feeds.nudge import AGAIN_SECONDS, MAX_AGAIN_SECONDS, Nudge
from sensorpipe_operator.feeds.verdicts import Answer, covers, readiness
from sensorpipe_operator.status.conditions import Verdict
from sensorpipe_schema.feed.report import (
    CompactorReport,
    FeedReport,
    LastRefused,
    Subscription,
    file_digest,
)
from support.kube.feed_bodies import feed_body

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
FILE = "plant.a.json"


def report_of(merged: Merged, **changes: Any) -> FeedReport:
    digest = file_digest(merged.files[FILE].encode())
    made = {"name": "plant/a", "file": FILE, "digest": digest, "filter": "a/+"}
    return FeedReport(**{**made, "subscription": Subscription.SUBSCRIBED, **changes})


def answer_of(merged: Merged, *, connected: bool = True, **changes: Any) -> Answer:
    """Return the answer of a compactor that has read all files."""
    files = {name: file_digest(text.encode()) for name, text in merged.files.items()}
    return Answer.of(CompactorReport(connected, files, feeds=[report_of(merged, **changes)]))


def verdict(readable: tuple[str, ...] = (), **changes: Any) -> Verdict:
    body = feed_body("a")
    merged = merge([body], {})
    return readiness(body, merged, answer_of(merged, **changes), readable)


def test_one_whose_filter_is_subscribed_is_ready() -> None:
    found = verdict()
    assert (found.reason, found.holds) == ("Subscribed", True)
    assert "a/+" in found.message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"subscription": Subscription.REFUSED, "refusal": "NOT_AUTHORIZED"}, "NotPermitted"),
        ({"subscription": Subscription.REFUSED, "refusal": "QUOTA_EXCEEDED"}, "NotSubscribed"),
        ({"subscription": Subscription.WAITING, "connected": False}, "NotConnected"),
        ({"subscription": Subscription.WAITING}, "Loading"),
        ({"digest": "another"}, "Loading"),
        ({"file": "plant.b.json"}, "Loading"),
    ],
)
def test_what_the_compactor_reports_is_the_reason(changes: dict[str, Any], reason: str) -> None:
    found = verdict(**changes)
    assert (found.reason, found.holds, found.unknown) == (reason, False, False)


def test_a_compactor_that_does_not_answer_leaves_it_unknown() -> None:
    body = feed_body("a")
    found = readiness(body, merge([body], {}), Answer(None, "connection refused"))
    assert (found.reason, found.unknown) == ("CompactorUnreachable", True)
    assert "connection refused" in found.text


def test_a_file_that_the_compactor_refuses_is_told_with_its_problem() -> None:
    body = feed_body("a")
    merged = merge([body], {})
    files = {FILE: file_digest(merged.files[FILE].encode())}
    report = CompactorReport(
        connected=True, files=files, problems={FILE: ["spec.each: unknown field"]}
    )
    found = readiness(body, merged, Answer.of(report))
    assert (found.reason, "spec.each" in found.text) == ("Refused", True)


@pytest.mark.parametrize(
    ("readable", "reason"),
    [
        (("sensor_readings/#",), "NotPermitted"),
        (("b/#", "a/1"), "NotPermitted"),
        (("b/#", "a/#"), "Subscribed"),
        (("#",), "Subscribed"),
        (("+/+",), "Subscribed"),
    ],
)
def test_what_the_broker_grants_and_never_delivers_is_not_permitted(
    readable: tuple[str, ...], reason: str
) -> None:
    assert verdict(readable).reason == reason


@pytest.mark.parametrize(
    ("given", "wanted", "covered"),
    [
        ("a/#", "a/+/b", True),
        ("a/#", "a/#", True),
        ("a/+", "a/#", False),
        ("a/+", "a/+", True),
        ("a/b", "a/+", False),
        ("a/+/c", "a/b/c", True),
        ("a/+", "a/b/c", False),
        ("a/+/c", "a/b", False),
        ("#", "+/x", True),
    ],
)
def test_when_a_filter_covers_another(given: str, wanted: str, *, covered: bool) -> None:
    assert covers(given, wanted) == covered


def test_a_feed_that_is_not_accepted_says_whether_the_former_one_goes_on() -> None:
    right, wrong = feed_body("a"), feed_body("a", topic="{a")
    former = merge([right], {})
    merged = merge([wrong], former.files)
    found = readiness(wrong, merged, answer_of(merged))
    assert found.reason == "NotAccepted"
    assert "the version before stays in use" in found.message
    assert "it is not in use" in readiness(wrong, merge([wrong], {}), Answer(None)).message


def test_a_suspended_feed_is_not_ready() -> None:
    body = feed_body("a", suspend=True)
    found = readiness(body, merge([body], {}), Answer(None, "away"))
    assert (found.reason, found.unknown) == ("Suspended", False)


def test_whether_the_compactor_has_all_files() -> None:
    merged = merge([feed_body("a")], {})
    assert answer_of(merged).is_current(merged)
    assert not answer_of(merged).is_current(merge([], {}))
    assert not Answer(None).is_current(merged)
    assert Answer.of(CompactorReport(connected=False)).is_current(merge([], {}))


# Status.

LAST = LastRefused("2026-11-24T08:59:00Z", "a/1", "not_a_number", "/t is 'open'")


def status(old: dict[str, Any] | None = None, report: FeedReport | None = None,
           rate: float | None = None, ready: Verdict = ACCEPTED) -> dict[str, Any]:  # fmt: skip
    body = feed_body("a", generation=3, status=old or {})
    return build_feed_status(body, {"Accepted": ACCEPTED, "Ready": ready}, report, rate, NOW)


def test_the_numbers_are_those_of_the_report() -> None:
    report = report_of(merge([feed_body("a")], {}), topics=2, refused=5, last_refused=LAST)
    made = status(report=report, rate=1.5)
    assert (made["observedGeneration"], made["topics"]) == (3, 2)
    assert (made["readingsPerSecond"], made["refused"]) == (1.5, 5)
    assert made["lastRefused"] == {
        "at": LAST.at,
        "topic": "a/1",
        "reason": "not_a_number",
        "detail": "/t is 'open'",
    }
    assert {c["type"]: c["status"] for c in made["conditions"]} == {
        "Accepted": "True",
        "Ready": "True",
    }


def test_without_a_report_the_last_numbers_stay() -> None:
    old = status(report=report_of(merge([feed_body("a")], {}), topics=2), rate=7)
    made = status(old, ready=Verdict("CompactorUnreachable", "away", unknown=True))
    assert (made["topics"], made["readingsPerSecond"]) == (2, 7)
    assert made["conditions"][1]["status"] == "Unknown"


def test_what_is_a_change_of_numbers_only() -> None:
    report = report_of(merge([feed_body("a")], {}), topics=2)
    old = status(report=report)
    more = report_of(merge([feed_body("a")], {}), topics=3, refused=1, last_refused=LAST)
    assert differs_only_in_numbers(old, status(old, more, 4))
    assert not differs_only_in_numbers(old, status(old, more, 4, Verdict("Loading", "soon")))
    assert not differs_only_in_numbers({**old, "observedGeneration": 2}, status(old, more))


def test_a_rate_is_that_of_the_last_minute() -> None:
    rates, key = Rates(), ("plant", "a")
    assert rates.note(key, 1_000, 0) is None
    assert rates.note(key, 1_050, 5) == 10
    assert [rates.note(key, 1_050 + 10 * i, 5 + i) for i in range(1, 200)][-1] == 10
    assert [rates.note(key, 3_040, 204 + i) for i in range(1, 62)][-1] == 0
    assert rates.note(key, 5, 300) is None  # the compactor has started again
    assert rates.note(key, 15, 305) == 2
    rates.keep([])
    assert rates.note(key, 20, 310) is None


def test_a_rate_that_hardly_changes_stays_the_same() -> None:
    assert {two_digits(n) for n in (3.41, 3.44, 3.38)} == {3.4}
    assert [two_digits(n) for n in (0, -1, 0.0123, 9.97, 99.9, 1234)] == [
        0,
        0,
        0.012,
        10,
        100,
        1200,
    ]


# The kubelet.


def test_the_kubelet_is_asked_at_once_and_then_less_and_less_often() -> None:
    nudge, annotation, writes = Nudge(), "", []
    for second in range(300):
        value = nudge.value("d1", annotation, float(second))
        if value is not None:
            assert value != annotation, "it would be no change"
            annotation = value
            writes.append(second)
    assert writes[:4] == [0, 3, 9, 21]
    assert AGAIN_SECONDS == 3
    assert max(b - a for a, b in pairwise(writes)) == MAX_AGAIN_SECONDS


def test_other_files_are_brought_at_once_even_if_they_were_there_before() -> None:
    nudge = Nudge()
    assert nudge.value("d1", "", 0) == "d1.1"
    assert nudge.value("d2", "d1.1", 1) == "d2.1"
    assert nudge.value("d1", "d2.1", 2) == "d1.1"
    nudge.done()
    assert nudge.value("d1", "d1.1", 3) == "d1.2"
