"""Tells what became of the Feeds, for the operator and for people: `/feeds` at the monitoring port.

Called from another thread than the one that receives; what it reads may change meanwhile, so it
copies each mapping at once.
"""

from datetime import UTC, datetime
from typing import Final, Protocol

from sensorpipe_schema.feed.report import (
    CompactorReport,
    FeedReport,
    LastRefused,
    Subscription,
)

from sensorpipe_compactor.feeds import intake as feed_intake
from sensorpipe_compactor.feeds.feed_set import ActiveFeed
from sensorpipe_compactor.feeds.folder import FeedFolder

MAX_PROBLEMS: Final = 5
"""Largest number of problems told of one file."""

MAX_PROBLEM: Final = 256
"""Largest number of characters of a problem."""


class Subscriptions(Protocol):
    """What is known of the subscriptions."""

    refused_filters: dict[str, str]

    @property
    def ready(self) -> bool:
        """Whether there is a connection on which all is subscribed."""

    def is_subscribed(self, pattern: str) -> bool:
        """Whether a filter is subscribed on this connection."""


def report_feeds(
    folder: FeedFolder, intake: feed_intake.FeedIntake, subscriptions: Subscriptions
) -> CompactorReport:
    """Return what became of all Feeds in use."""
    return CompactorReport(
        connected=subscriptions.ready,
        files=dict(folder.digests),
        problems={
            file: [problem[:MAX_PROBLEM] for problem in problems[:MAX_PROBLEMS]]
            for file, problems in list(folder.problems.items())
        },
        feeds=[
            _report(feed, folder, intake.counts.get(feed.name), subscriptions)
            for feed in intake.feeds.feeds
        ],
    )


def _report(
    feed: ActiveFeed,
    folder: FeedFolder,
    counts: feed_intake.FeedCounts | None,
    subscriptions: Subscriptions,
) -> FeedReport:
    file, digest = folder.places.get(feed.name, ("", ""))
    counts = counts or feed_intake.FeedCounts()
    subscription, refusal = _subscription(feed.filter, subscriptions)
    return FeedReport(
        feed.name,
        file,
        digest,
        feed.filter,
        subscription,
        refusal,
        topics=len(counts.topics),
        messages=counts.messages,
        readings=counts.readings,
        empty=counts.empty,
        refused=counts.refused,
        last_refused=_last(counts.last_refused),
    )


def _subscription(pattern: str, subscriptions: Subscriptions) -> tuple[Subscription, str]:
    refusal = subscriptions.refused_filters.get(pattern)
    if not subscriptions.ready:
        return Subscription.WAITING, ""
    if refusal is not None:
        return Subscription.REFUSED, refusal
    if subscriptions.is_subscribed(pattern):
        return Subscription.SUBSCRIBED, ""
    return Subscription.WAITING, ""


def _last(refused: feed_intake.LastRefused | None) -> LastRefused | None:
    if refused is None:
        return None
    at = datetime.fromtimestamp(refused.ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return LastRefused(at, refused.topic, refused.reason, refused.detail)
