"""The keeper of Feeds: ConfigMap, the compactor's pod and status follow, whatever fails between."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sensorpipe_operator.cache import Cache, Namespaces
from sensorpipe_operator.feeds import keeper as keeper_module
from sensorpipe_operator.feeds import merge as merging
from sensorpipe_operator.feeds.keeper import FeedKeeper
from sensorpipe_operator.feeds.merge import Merged
from sensorpipe_operator.feeds.verdicts import Answer
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.metrics import OperatorMetrics
from sensorpipe_operator.names import FEEDS_ANNOTATION, Body, Kind, key_of
from sensorpipe_operator.owners import LOOK_SECONDS, Owners
from sensorpipe_operator.settings import FeedSettings
from sensorpipe_schema.feed.report import (
    CompactorReport,
    FeedReport,
    Subscription,
    file_digest,
)
from support.kube.feed_bodies import feed_body

LOST = ApiError(0, "Unreachable", "no response")
POD: Body = {
    "metadata": {"name": "compactor-1", "namespace": "release", "uid": "u-pod"},
    "status": {"phase": "Running", "podIP": "10.0.0.9"},
}


class Site:
    """An API server with a ConfigMap, a pod with a compactor, and the keeper."""

    def __init__(self, cache: Cache | None = None, own: str = "") -> None:
        self.leases: set[tuple[str, str]] = set()
        self.data: dict[str, str] | None = {}
        self.applied = 0
        self.annotations: list[str] = []
        self.statuses: list[tuple[str, dict[str, Any]]] = []
        self.events: list[Body] = []
        self.refuse: dict[str, ApiError] = {}
        self.pod: Body | None = deepcopy(POD)
        self.mounted: dict[str, str] = {}
        self.subscription = Subscription.SUBSCRIBED
        self.readings = 0
        self.now = 1_000.0
        self.version = 100
        self.cache, self.namespaces = cache or Cache(), Namespaces(["plant", "yard"])
        self.keeper = FeedKeeper(
            self,
            self.cache,
            self.namespaces,
            settings=FeedSettings(("release", "feeds"), "app=compactor", ()),
            owners=Owners(self, own, Kind.FEED, clock=lambda: self.now),
            metrics=OperatorMetrics(CollectorRegistry()),
            clock=lambda: datetime(2026, 11, 24, 9, tzinfo=UTC),
            steady=lambda: self.now,
        )

    # The API server.

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        self._may("get")
        assert (kind, namespace, name) == (Kind.CONFIG_MAP, "release", "feeds")
        if self.data is None:
            raise ApiError(404, "NotFound", "not found")
        return {"data": dict(self.data)} if self.data else {}

    async def apply_data(self, namespace: str, name: str, data: dict[str, str]) -> None:
        assert (namespace, name) == ("release", "feeds")
        self._may("apply")
        self.data = dict(data)
        self.applied += 1

    async def pods(self, namespace: str, selector: str) -> list[Body]:
        self._may("pods")
        assert (namespace, selector) == ("release", "app=compactor")
        return [self.pod] if self.pod is not None else []

    async def annotate_pod(self, pod: Body, name: str, value: str) -> None:
        self._may("annotate")
        assert name == FEEDS_ANNOTATION
        pod["metadata"].setdefault("annotations", {})[name] = value
        self.annotations.append(value)

    async def find_lease(self, namespace: str, name: str) -> Body | None:
        return {} if (namespace, name) in self.leases else None

    async def apply_status(
        self, body: Body, status: dict[str, Any], kind: Kind, *, unchanged: bool
    ) -> Body:
        assert kind is Kind.FEED
        self._may("status")
        version = self.cache.child(key_of(body), kind, body["metadata"]["name"])
        if unchanged and version != body:
            raise ApiError(409, "Conflict", "the object has been modified")
        self.version += 1
        made = deepcopy({**body, "status": status})
        made["metadata"]["resourceVersion"] = str(self.version)
        self.statuses.append((body["metadata"]["name"], status))
        return made

    async def post_event(self, event: Body) -> None:
        self.events.append(event)

    def _may(self, verb: str) -> None:
        if error := self.refuse.get(verb):
            raise error

    # The compactor.

    def mount(self) -> None:
        """Let the kubelet bring the ConfigMap's files."""
        self.mounted = dict(self.data or {})

    async def answer(self, pod: Body | None) -> Answer:
        if pod is None:
            return Answer(None, "no pod of it runs")
        files = {name: file_digest(text.encode()) for name, text in self.mounted.items()}
        feeds = [
            FeedReport(name[:-5].replace(".", "/"), name, digest, "x/+", self.subscription,
                       readings=self.readings)
            for name, digest in files.items()
        ]  # fmt: skip
        return Answer.of(CompactorReport(connected=True, files=files, feeds=feeds))

    # What a test does.

    def see(self, body: Body) -> None:
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.cache.put(Kind.FEED, body)

    async def look(self, passed: float = 0) -> None:
        self.now += passed
        await self.keeper.look(self.answer)

    def reason(self, name: str, kind: str = "Ready") -> str:
        body = self.cache.feed(("plant", name))
        assert body is not None
        return str({c["type"]: c for c in body["status"]["conditions"]}[kind]["reason"])


@pytest.fixture
async def site() -> Site:
    return Site()


async def test_a_new_feed_is_written_brought_to_the_pod_and_then_ready(site: Site) -> None:
    site.see(feed_body("a"))
    await site.look()
    assert list(site.data or {}) == ["plant.a.json"]
    assert len(site.annotations) == 1
    assert site.keeper.is_behind
    assert site.reason("a") == "Loading"
    site.mount()
    await site.look(1)
    assert (site.reason("a"), site.keeper.is_behind) == ("Subscribed", False)
    assert (site.applied, len(site.annotations), len(site.statuses)) == (1, 1, 2)


async def test_what_does_not_change_is_not_written(site: Site) -> None:
    site.see(feed_body("a"))
    await site.look()
    site.mount()
    await site.look(1)
    before = (site.applied, len(site.annotations), len(site.statuses))
    for _ in range(20):
        await site.look(5)
    assert (site.applied, len(site.annotations), len(site.statuses)) == before


async def test_feeds_that_do_not_change_are_not_merged_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged = 0
    really = merging.merge

    def merge(*given: Any) -> Merged:
        nonlocal merged
        merged += 1
        return really(*given)

    monkeypatch.setattr(keeper_module, "merge", merge)
    site.see(feed_body("a"))
    await site.look()
    site.mount()
    for _ in range(20):
        await site.look(5)
    assert merged == 1
    site.see(feed_body("b"))
    await site.look()
    assert merged == 2
    assert len(site.data or {}) == 2


async def test_the_pod_is_asked_again_while_it_lacks_the_files(site: Site) -> None:
    site.see(feed_body("a"))
    for _ in range(10):
        await site.look(1)
    assert len(site.annotations) == 3
    assert len(set(site.annotations)) == 3


async def test_a_config_map_that_others_changed_is_mended(site: Site) -> None:
    site.see(feed_body("a"))
    await site.look()
    site.mount()
    await site.look(1)
    site.data = {}
    site.mount()
    for _ in range(6):
        await site.look(1)
    assert list(site.data) == ["plant.a.json"]


async def test_an_operator_that_starts_again_keeps_what_is_there(site: Site) -> None:
    site.see(feed_body("a"))
    await site.look()
    site.mount()
    again = Site()
    again.data, again.mounted = dict(site.data or {}), dict(site.mounted)
    again.see(feed_body("a", timezone="Mars/Olympus", time={"at": "/t"}))
    await again.look()
    assert again.data == site.data
    assert again.reason("a", "Accepted") == "Invalid"
    assert again.applied == 0


async def test_feeds_of_a_namespace_without_access_stay(site: Site) -> None:
    site.see(feed_body("a"))
    await site.look()
    site.namespaces.mark_refused("plant", "forbidden")
    site.cache.drop_namespace("plant")
    assert site.cache.feeds_changed.is_set()
    await site.look()
    assert list(site.data or {}) == ["plant.a.json"]
    site.namespaces.mark_accessible("plant")
    await site.look()
    assert site.data == {}


async def test_a_deleted_feed_goes_and_the_others_stay(site: Site) -> None:
    site.see(feed_body("a"))
    site.see(feed_body("b"))
    await site.look()
    site.cache.drop(Kind.FEED, feed_body("a", version=10_000))
    assert site.cache.feeds_changed.is_set()
    await site.look()
    assert list(site.data or {}) == ["plant.b.json"]


@pytest.mark.parametrize("verb", ["get", "apply", "annotate"])
async def test_a_request_that_fails_is_made_again(site: Site, verb: str) -> None:
    site.refuse[verb] = LOST
    site.see(feed_body("a"))
    await site.look()
    del site.refuse[verb]
    await site.look(5)
    site.mount()
    await site.look(1)
    assert site.reason("a") == "Subscribed"
    assert site.annotations


async def test_without_the_right_to_list_pods_it_is_said_why_nothing_is_known(site: Site) -> None:
    site.refuse["pods"] = ApiError(403, "Forbidden", "pods is forbidden")
    site.see(feed_body("a"))
    await site.look()
    assert site.reason("a") == "CompactorUnreachable"
    assert "pods is forbidden" in str(site.statuses[-1])


@pytest.mark.parametrize("status", [404, 409])
async def test_a_feed_that_is_gone_when_its_status_is_written_stops_no_other(
    site: Site, status: int
) -> None:
    site.refuse["status"] = ApiError(status, "NotFound", "gone")
    site.see(feed_body("a"))
    site.see(feed_body("b"))
    await site.look()
    del site.refuse["status"]
    await site.look()
    assert {name for name, _ in site.statuses} == {"a", "b"}


async def test_numbers_alone_are_written_every_30_seconds(site: Site) -> None:
    site.see(feed_body("a"))
    await site.look()
    site.mount()
    await site.look(1)
    before = len(site.statuses)
    for _ in range(60):
        site.readings += 50 * len(site.statuses)
        await site.look(5)
    assert 9 <= len(site.statuses) - before <= 10
    assert site.statuses[-1][1]["readingsPerSecond"] > 0


async def test_an_other_reason_is_written_at_once_with_an_event(site: Site) -> None:
    site.see(feed_body("a"))
    await site.look()
    site.mount()
    await site.look(1)
    site.subscription = Subscription.REFUSED
    await site.look(1)
    assert site.reason("a") == "NotSubscribed"
    site.subscription = Subscription.SUBSCRIBED
    await site.look(1)
    assert [(event["type"], event["reason"]) for event in site.events] == [
        ("Warning", "NotSubscribed"),
        ("Normal", "Subscribed"),
    ]
    assert {event["involvedObject"]["kind"] for event in site.events} == {"Feed"}


async def test_a_change_of_the_status_alone_is_no_change_of_a_feed(site: Site) -> None:
    site.see(feed_body("a"))
    await site.look()
    assert not site.cache.feeds_changed.is_set()
    site.see(feed_body("a", generation=2))
    assert site.cache.feeds_changed.is_set()


async def test_without_a_compactor_nothing_is_hurried(site: Site) -> None:
    site.pod = None
    site.see(feed_body("a"))
    await site.look()
    assert (site.annotations, site.keeper.is_behind) == ([], False)
    assert site.reason("a") == "CompactorUnreachable"
    assert site.keeper.refused == 0


async def test_a_feed_belongs_to_the_release_that_came_first_until_it_is_gone() -> None:
    east = Site(own="east/operator")
    west = Site(east.cache, own="west/operator")
    west.leases = {("east", "operator"), ("west", "operator")}
    east.see(feed_body("a"))
    await east.look()
    assert list(east.data or {}) == ["plant.a.json"]
    assert east.statuses[-1][1]["operator"] == "east/operator"
    for _ in range(round(3600 / LOOK_SECONDS)):
        await west.look(LOOK_SECONDS)
    assert (west.data, west.statuses, west.events) == ({}, [], [])
    west.see(feed_body("b"))  # a Feed of nobody's
    await west.look()
    assert list(west.data or {}) == ["plant.b.json"]
    west.leases.discard(("east", "operator"))
    await west.look(LOOK_SECONDS)
    assert list(west.data or {}) == ["plant.a.json", "plant.b.json"]
    assert {name: status["operator"] for name, status in west.statuses} == {
        "a": "west/operator",
        "b": "west/operator",
    }
    east.leases = {("west", "operator")}
    await east.look(LOOK_SECONDS)
    assert list(east.data or {}) == []


async def test_a_feed_that_another_release_has_just_claimed_is_left_to_it() -> None:
    east = Site(own="east/operator")
    west = Site(east.cache, own="west/operator")
    west.leases = {("east", "operator")}
    east.see(feed_body("a"))
    answer = west.answer

    async def late(pod: Body | None) -> Answer:
        await east.look()
        return await answer(pod)

    await west.keeper.look(late)
    assert west.statuses == []
    await west.look(LOOK_SECONDS)
    assert (west.statuses, west.data) == ([], {})
