"""What the compactor tells of its Feeds: numbers, the last refused message, and which version."""

import json
from pathlib import Path

import mqtt5
from sensorpipe_compactor.feeds import intake as feed_intake
from sensorpipe_compactor.feeds.folder import FeedFolder
from sensorpipe_compactor.feeds.intake import FeedIntake
from sensorpipe_compactor.feeds.reporting import report_feeds
from sensorpipe_schema.feed.report import (
    CompactorReport,
    FeedReport,
    LastRefused,
    Subscription,
    decode_report,
    encode_report,
    file_digest,
)
from support.feeds import manifest
from support.window_parts import NOW, when, windows

RULES = [{"sensor": "t", "at": "/t"}]


class Broker:
    """What a subscriber knows of its subscriptions."""

    def __init__(self) -> None:
        self.ready = True
        self.refused_filters: dict[str, str] = {}
        self.granted: set[str] = set()

    def is_subscribed(self, pattern: str) -> bool:
        return pattern in self.granted


class Bench:
    """A folder of Feeds, and the intake that uses it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.folder = FeedFolder(folder)
        self.windows = windows()
        self.intake = self.windows.feeds = FeedIntake()
        self.broker = Broker()

    def write(self, name: str, topic: str, **more: str) -> str:
        """Write a Feed as the operator does; return the digest of its file."""
        made = manifest(topic=topic, facility="f", readings=RULES, **more)
        made["metadata"] = {"name": name, "namespace": "plant"}
        text = json.dumps(made)
        (self.path / f"plant.{name}.json").write_text(text)
        return file_digest(text.encode())

    def look(self) -> None:
        if (feeds := self.folder.read()) is not None:
            self.intake.use(feeds)

    def send(self, topic: str, payload: str, at: int = NOW) -> None:
        self.windows.add([mqtt5.PublishPacket(topic, payload.encode())], 0, when(at))

    def report(self) -> CompactorReport:
        return decode_report(encode_report(report_feeds(self.folder, self.intake, self.broker)))

    def of(self, name: str) -> FeedReport:
        return next(feed for feed in self.report().feeds if feed.name == f"plant/{name}")


def test_numbers_and_topics_are_those_of_each_feed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write("a", "a/+")
    bench.write("b", "b/+")
    bench.look()
    for topic, payload in (("a/1", '{"t": 1}'), ("a/1", '{"t": 2}'), ("a/2", "{}")):
        bench.send(topic, payload)
    made = bench.of("a")
    assert (made.topics, made.messages, made.readings, made.empty, made.refused) == (2, 3, 2, 1, 0)
    assert made.last_refused is None
    assert bench.of("b").topics == 0


def test_the_last_refused_message_is_told_with_its_reason(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write("a", "a/+")
    bench.look()
    bench.send("a/1", "nonsense")
    bench.send("a/2", '{"t": "open"}', at=1_800_000_001_999)
    made = bench.of("a")
    assert made.refused == 2
    assert made.last_refused is not None
    assert (made.last_refused.at, made.last_refused.topic) == ("2027-01-15T08:00:01Z", "a/2")
    assert made.last_refused.reason == "not_a_number"
    assert "/t" in made.last_refused.detail


def test_texts_of_a_refused_message_are_bounded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write("a", "a/{rest...}")
    bench.look()
    bench.send("a/" + "x" * 60_000, json.dumps({"t": "y" * 60_000}))
    last = bench.of("a").last_refused
    assert isinstance(last, LastRefused)
    assert (len(last.topic), len(last.detail) <= 256) == (256, True)


def test_no_more_topics_are_counted_than_there_is_room_for(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(feed_intake, "MAX_COUNTED_TOPICS", 3)
    bench = Bench(tmp_path)
    bench.write("a", "a/+")
    bench.write("b", "b/+")
    bench.look()
    for i in range(10):
        bench.send(f"a/{i}", '{"t": 1}')
        bench.send(f"b/{i}", '{"t": 1}')
    assert bench.of("a").topics + bench.of("b").topics == 3
    assert bench.of("a").messages == 10


def test_counts_outlast_a_change_and_go_with_the_feed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write("a", "a/+")
    bench.look()
    bench.send("a/1", '{"t": 1}')
    bench.write("a", "a/{device}")
    bench.look()
    assert bench.of("a").messages == 1
    (tmp_path / "plant.a.json").unlink()
    bench.look()
    assert bench.report().feeds == []
    assert bench.intake.counts == {}


def test_which_version_is_in_use_is_told_where_a_newer_one_is_wrong(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    first = bench.write("a", "a/+")
    bench.look()
    assert bench.of("a").digest == first
    second = bench.write("a", "a/#")
    bench.look()
    made = bench.report()
    assert made.files == {"plant.a.json": second}
    assert (made.feeds[0].digest, made.feeds[0].filter) == (first, "a/+")
    (problem,) = made.problems["plant.a.json"]
    assert problem.startswith("spec.topic: ")
    third = bench.write("a", "a/{device}")
    bench.look()
    assert bench.of("a").digest == third
    assert bench.report().problems == {}


def test_two_namespaces_may_have_a_feed_of_one_name(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write("a", "a/+")
    other = json.loads((tmp_path / "plant.a.json").read_text())
    other["metadata"]["namespace"] = "yard"
    other["spec"]["topic"] = "b/+"
    (tmp_path / "yard.a.json").write_text(json.dumps(other))
    bench.look()
    assert sorted(feed.name for feed in bench.report().feeds) == ["plant/a", "yard/a"]


def test_what_the_broker_says_of_a_filter(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write("a", "a/+")
    bench.look()
    assert bench.of("a").subscription is Subscription.WAITING
    bench.broker.refused_filters["a/+"] = "NOT_AUTHORIZED"
    made = bench.of("a")
    assert (made.subscription, made.refusal) == (Subscription.REFUSED, "NOT_AUTHORIZED")
    bench.broker.refused_filters.clear()
    bench.broker.granted.add("a/+")
    assert bench.of("a").subscription is Subscription.SUBSCRIBED
    bench.broker.ready = False
    assert bench.of("a").subscription is Subscription.WAITING
    assert not bench.report().connected
