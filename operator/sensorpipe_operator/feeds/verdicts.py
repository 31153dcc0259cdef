"""Whether a Feed's messages reach the compactor, as its report says: pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sensorpipe_schema.feed.report import CompactorReport, FeedReport, Subscription, file_digest

from sensorpipe_operator.feeds.merge import Merged, file_name
from sensorpipe_operator.names import Body, Key, key_of
from sensorpipe_operator.status.conditions import Verdict

NOT_AUTHORIZED: Final = "NOT_AUTHORIZED"
"""The broker's reason where the compactor's user lacks the right (SUBACK 0x87)."""

LOADING: Final = Verdict("Loading", "The compactor does not have this version of the Feed yet")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the compactor answered, or why there is no answer."""

    report: CompactorReport | None
    problem: str = ""
    feeds: dict[str, FeedReport] = field(default_factory=dict)
    """By the names of their files."""

    @classmethod
    def of(cls, report: CompactorReport) -> "Answer":
        """Return the answer with this report."""
        return cls(report, feeds={feed.file: feed for feed in report.feeds})

    def is_current(self, merged: Merged) -> bool:
        """Whether the compactor has read just these files."""
        wanted = {name: file_digest(text.encode()) for name, text in merged.files.items()}
        return self.report is not None and self.report.files == wanted


def readiness(body: Body, merged: Merged, answer: Answer, readable: Sequence[str] = ()) -> Verdict:
    """Return whether the compactor receives the messages of a Feed, and if not, why.

    `readable` are the topic filters that the broker lets the compactor read; all if there are none.
    """
    key = key_of(body)
    text = merged.files.get(file_name(key))
    if not merged.accepted[key].holds:
        rest = "the version before stays in use" if text else "it is not in use"
        return Verdict("NotAccepted", f"Until the Feed is accepted, {rest}")
    if body["spec"].get("suspend"):
        return Verdict("Suspended", "Stopped by spec.suspend")
    report, feed = answer.report, answer.feeds.get(file_name(key))
    if report is None:
        return Verdict(
            "CompactorUnreachable", "The compactor does not answer", answer.problem, unknown=True
        )
    if text is None or feed is None or feed.digest != file_digest(text.encode()):
        return _not_loaded(key, report, text)
    if readable and not any(covers(given, feed.filter) for given in readable):
        message = (
            f"The broker does not let the compactor read all of {feed.filter}; add it to the value "
            "mosquitto.deviceTopics of the chart"
        )
        return Verdict("NotPermitted", message)
    return _subscribed(report, feed)


def _not_loaded(key: Key, report: CompactorReport, text: str | None) -> Verdict:
    name = file_name(key)
    problems = report.problems.get(name)
    if problems and text is not None and report.files.get(name) == file_digest(text.encode()):
        return Verdict("Refused", "The compactor refuses the Feed", "; ".join(problems))
    return LOADING


def _subscribed(report: CompactorReport, feed: FeedReport) -> Verdict:
    if feed.subscription is Subscription.SUBSCRIBED:
        return Verdict("Subscribed", f"The compactor receives {feed.filter}", holds=True)
    if feed.subscription is Subscription.REFUSED:
        if feed.refusal == NOT_AUTHORIZED:
            message = f"The broker does not let the compactor subscribe {feed.filter}"
            return Verdict("NotPermitted", message)
        message = f"The broker refuses the subscription of {feed.filter}"
        return Verdict("NotSubscribed", message, feed.refusal)
    if not report.connected:
        return Verdict("NotConnected", "The compactor is not connected to the broker")
    return LOADING


def covers(given: str, wanted: str) -> bool:
    """Whether every topic of the filter `wanted` is one of the filter `given`."""
    levels = wanted.split("/")
    for i, level in enumerate(given.split("/")):
        if level == "#":
            return True
        if i >= len(levels) or levels[i] == "#" or level not in {"+", levels[i]}:
            return False
    return len(given.split("/")) == len(levels)
