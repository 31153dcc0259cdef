"""Takes messages of Feeds into the windows: pure."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from sensorpipe_runtime.mqtt.frames import Message, Refused
from sensorpipe_schema.feed.decoder import Readings
from sensorpipe_schema.feed.report import MAX_TEXT
from sensorpipe_schema.feed.values import RefusedMessageError
from sensorpipe_schema.names import READINGS_PREFIX, reading_topic
from sensorpipe_schema.reading import AHEAD, BadReadingError, Reading, check_time

from sensorpipe_compactor.clock_check import Instant
from sensorpipe_compactor.feeds.feed_set import ActiveFeed, FeedSet
from sensorpipe_compactor.windowing.source import SeqKind, Source
from sensorpipe_compactor.windowing.sources import MAX_SPARSE, Sources

MAX_COUNTED_TOPICS: Final = 100_000
"""Largest number of topics that are counted, of all Feeds together."""

_NATIVE: Final = f"{READINGS_PREFIX}/"


class Target(Protocol):
    """The windows that readings go to."""

    sources: Sources

    def take(
        self,
        topic: str,
        names: tuple[str, str],
        reading: Reading,
        number: int,
        now: Instant,
        *,
        kind: SeqKind,
        unit: str,
    ) -> None:
        """Put a valid reading of a facility and sensor into its window."""

    def note(self, topic: str, facility: str, reading: Reading, now: Instant) -> None:
        """Compare a source's clock with ours."""

    def keep_ahead(self, message: Message, number: int, ts: int) -> None:
        """Keep a message that is ahead of our clock until it is known whose clock is wrong."""

    def dead_letter(
        self, message: Message, number: int, reason: str, detail: str, feed: str | None
    ) -> None:
        """Make a dead letter of a message."""


class LastRefused(NamedTuple):
    """The last message of a Feed that became a dead letter."""

    ms: int
    """When it arrived, in Unix milliseconds."""
    topic: str
    reason: str
    detail: str


@dataclass(slots=True)
class FeedCounts:
    """What became of the messages of one Feed since the start, redelivered ones included."""

    messages: int = 0
    readings: int = 0
    empty: int = 0
    """Messages without any of the named values."""
    refused: int = 0
    topics: set[int] = field(default_factory=set)
    """Hashes of the topics of its messages, as far as they were counted."""
    last_refused: LastRefused | None = None

    def refuse(self, ms: int, topic: str, reason: str, detail: str) -> None:
        """Count a message that becomes a dead letter, and arrived at this Unix time."""
        self.refused += 1
        self.last_refused = LastRefused(ms, topic[:MAX_TEXT], reason, detail[:MAX_TEXT])


class FeedIntake:
    """Decodes messages of Feeds, and hands their readings on."""

    def __init__(self) -> None:
        self.feeds = FeedSet()
        self.counts: dict[str, FeedCounts] = {}
        """By the name of the Feed."""
        self.unclaimed = 0
        """Messages that no Feed takes: of one that is gone, whose subscription goes on."""
        self._counted_topics = 0

    def use(self, feeds: FeedSet) -> None:
        """Take messages of these Feeds from now on; the counts of others are forgotten."""
        self.feeds = feeds
        self.counts = {
            feed.name: self.counts.get(feed.name) or FeedCounts() for feed in feeds.feeds
        }
        self._counted_topics = sum(len(counts.topics) for counts in self.counts.values())
        feeds.on_new_topic = self._count_topic

    def add(
        self, target: Target, message: Message, number: int, now: Instant, *, is_judged: bool
    ) -> None:
        """Take one message; with `is_judged` one that was ahead of our clock, and is no more."""
        feed = self.feeds.find(message.topic)
        if feed is None:
            self.unclaimed += 1
            return
        counts = self.counts[feed.name]
        counts.messages += not is_judged
        if isinstance(message, Refused):
            detail = "the MQTT packet is not valid"
            counts.refuse(now.wall_ms, message.topic, message.reason, detail)
            target.dead_letter(message, number, message.reason, detail, feed.name)
            return
        try:
            found = feed.decode(message.topic, message.payload, now.wall_ms)
            if feed.has_time:
                _check_times(found, now.wall_ms)
        except RefusedMessageError as error:
            counts.refuse(now.wall_ms, message.topic, error.reason, error.detail)
            target.dead_letter(message, number, error.reason, error.detail, feed.name)
            return
        except BadReadingError as error:
            if error.reason == AHEAD and not is_judged:
                self._keep_ahead(target, message, found, number, now)
            else:
                detail = f"Feed {feed.name}: {error}"
                counts.refuse(now.wall_ms, message.topic, error.reason, detail)
                target.dead_letter(message, number, error.reason, detail, feed.name)
            return
        if not found:
            counts.empty += 1
        for readings in found:
            counts.readings += len(readings.values)
            _place(target, feed, readings, number, now, is_judged=is_judged)

    def _count_topic(self, topic: str, feed: ActiveFeed) -> None:
        """Count a topic, as long as there is room; repeats do not matter."""
        topics, known = self.counts[feed.name].topics, hash(topic)
        if known not in topics and self._counted_topics < MAX_COUNTED_TOPICS:
            topics.add(known)
            self._counted_topics += 1

    def _keep_ahead(
        self, target: Target, message: Message, found: list[Readings], number: int, now: Instant
    ) -> None:
        newest = max(found, key=lambda readings: readings.ts)
        (sensor, value), *_ = newest.values
        topic = reading_topic(newest.facility, sensor)
        reading = Reading(newest.ts, value, newest.src, newest.seq)
        target.note(topic, newest.facility, reading, now)
        target.keep_ahead(message, number, newest.ts)


def is_native(message: Message) -> bool:
    """Whether a message came by the subscription for readings: it is never a Feed's then."""
    topic = message.topic
    return topic.startswith(_NATIVE) or topic == READINGS_PREFIX  # which `#` includes


def _check_times(found: list[Readings], now_ms: int) -> None:
    """Raise BadReadingError if any reading is too old or too far ahead: then none counts."""
    for readings in found:
        check_time(readings.ts, now_ms)


def _place(
    target: Target,
    feed: ActiveFeed,
    readings: Readings,
    number: int,
    now: Instant,
    *,
    is_judged: bool,
) -> None:
    """Put readings into their windows; where one goes on behind the last one, at once."""
    name, ts, src, seq = readings.facility, readings.ts, readings.src, readings.seq
    find, prefix = target.sources.find, f"{_NATIVE}{name}/"
    for sensor, value in readings.values:
        topic = prefix + sensor
        source = find(topic, src)
        if (
            source is not None
            and source.start <= ts < source.end
            and (seq == source.next or _skip(source, seq))
        ):
            source.next += source.step
            source.values.append(value)
            source.facility.active_ms = now.steady_ms
            continue
        reading = Reading(ts, value, src, seq)
        if feed.has_time and not is_judged:
            target.note(topic, name, reading, now)
        unit = feed.units.get(sensor, "")
        target.take(topic, (name, sensor), reading, number, now, kind=feed.kind, unit=unit)


def _skip(source: Source, seq: int) -> bool:
    """Let a run go on at `seq` behind a gap that means nothing; return False if it cannot.

    What is behind the end of a run is behind all that was seen of its source, and so is new.
    """
    if seq < source.next or source.kind is SeqKind.COUNT or source.intervals >= MAX_SPARSE:
        return False
    source.settle()
    if seq != source.next:
        source.leave_gap(seq)
    return True
