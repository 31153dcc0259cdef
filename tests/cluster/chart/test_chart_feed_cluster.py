"""Feeds of a release: applied, changed, forbidden and deleted, and what the compactor does then."""

import subprocess
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from cluster_client import Cluster
from sensorpipe_cli.client.http import get
from sensorpipe_schema.sensor import API_VERSION
from support.chart import broker as chart_broker
from support.chart.release import NAME, Release, ask
from support.chart.release_site import uninstalled
from support.strimzi import certificates
from support.waiting import until

DEVICES = f"{NAME}-mosquitto-devices"
VALUES = (
    "--set=mosquitto.devices.tls.secretName=broker-tls",
    "--set=mosquitto.devices.users[0].username=hub",
    "--set=mosquitto.devices.users[0].secretName=hub",
    "--set=mosquitto.devices.users[0].topics={zigbee2mqtt/#,yard/#,vault/#}",
    "--set=mosquitto.deviceTopics={zigbee2mqtt/#,yard/#}",
    "--set=networkPolicy.enabled=true",
)
PROMISED_SECONDS = 10
"""Seconds within which the compactor has a changed Feed, as docs/devices.md promises."""


def feed(name: str, topic: str, **spec: Any) -> dict[str, Any]:
    """Return a Feed with one sensor."""
    rules = [{"sensor": "temperature", "at": "/t"}]
    made = {"topic": topic, "facility": name, "readings": rules, **spec}
    metadata = {"name": name}
    return {"apiVersion": API_VERSION, "kind": "Feed", "metadata": metadata, "spec": made}


class Site:
    """A release with a broker for devices, and one device."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.authority = certificates.authority("devices")

    def prepare(self) -> None:
        """Create the Secrets of the broker's listener and of the device."""
        names = ["localhost", DEVICES]
        certificate, key = certificates.signed(*self.authority, names)
        self._secret("broker-tls", {"tls.crt": certificate, "tls.key": key})
        self._secret("hub", {"password": "secret"})

    def apply(self, *feeds: dict[str, Any]) -> None:
        self.release.cluster.apply(*feeds, namespace=self.release.namespace)

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.release.get(f"feed/{name}").get("status", {})
        return found

    def ready(self, name: str) -> dict[str, Any]:
        """Return the condition Ready."""
        conditions = self.status(name).get("conditions", [])
        return next((found for found in conditions if found["type"] == "Ready"), {})

    def wait_ready(self, name: str, reason: str = "Subscribed", seconds: float = 60) -> None:
        until(
            lambda: (
                (self.ready(name).get("reason"), self.status(name).get("observedGeneration"))
                == (reason, self.release.get(f"feed/{name}")["metadata"]["generation"])
            ),
            state=lambda: self.status(name),
            seconds=seconds,
        )

    def loaded(self) -> dict[str, Any]:
        """Return what the compactor answers, by Feed."""
        (pod,) = self.release.pods("compactor")
        with self.release.cluster.port_forward(f"pod/{pod}", 9090, self.release.namespace) as port:
            report = ask(f"http://127.0.0.1:{port}", "/feeds")
        return {found["name"].partition("/")[2]: found for found in report["feeds"]}

    def publish(self, topic: str, payload: str) -> None:
        """Publish one message as the device does."""
        chart_broker.need("mosquitto_pub")
        authority = self.release.cluster.kubeconfig.with_name("feeds.crt")
        authority.write_text(self.authority[0])
        login = ["-h", "localhost", "--cafile", str(authority), "-u", "hub", "-P", "secret"]
        message = ["-V", "5", "-q", "1", "-t", topic, "-m", payload]
        target = f"service/{DEVICES}"
        with self.release.cluster.port_forward(target, 8883, self.release.namespace) as port:
            command = ["mosquitto_pub", "-p", str(port), *login, *message]
            subprocess.run(command, check=True, timeout=30, capture_output=True)

    def _secret(self, name: str, data: dict[str, str]) -> None:
        kind = "kubernetes.io/tls" if "tls.key" in data else "Opaque"
        made = {"apiVersion": "v1", "kind": "Secret", "type": kind, "stringData": data}
        self.apply(made | {"metadata": {"name": name}})


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[Site]:
    """The chart, with Strimzi or who plays its part."""
    with uninstalled(cluster) as release:
        made = Site(release)
        made.prepare()
        made.release.install(*VALUES)
        yield made


def transition(site: Site, name: str) -> datetime:
    """Return when the condition Ready last changed its status."""
    return datetime.fromisoformat(site.ready(name)["lastTransitionTime"])


def test_a_feed_reaches_the_compactor_in_time_and_its_readings_the_api(site: Site):
    site.apply(feed("zigbee", "zigbee2mqtt/{device}", facility="{device}"))
    site.wait_ready("zigbee", seconds=60)
    created = site.release.get("feed/zigbee")["metadata"]["creationTimestamp"]
    took = (transition(site, "zigbee") - datetime.fromisoformat(created)).total_seconds()
    assert took <= PROMISED_SECONDS
    site.publish("zigbee2mqtt/kitchen", '{"t": 21.5}')
    site.release.wait_facilities("kitchen")
    until(lambda: site.status("zigbee").get("topics") == 1, state=lambda: site.status("zigbee"))


@pytest.mark.parametrize("number", range(5))
def test_a_changed_feed_is_in_use_in_time_without_a_restart(site: Site, number: int):
    (before,) = site.release.pods("compactor")
    site.apply(feed("zigbee", f"zigbee2mqtt/hall-{number}/{{device}}", facility="{device}"))
    wanted = f"zigbee2mqtt/hall-{number}/+"

    def is_used() -> bool:
        found = site.loaded().get("zigbee", {})
        return (found.get("filter"), found.get("subscription")) == (wanted, "subscribed")

    until(is_used, state=site.loaded, seconds=PROMISED_SECONDS)
    (after,) = site.release.pods("compactor")
    assert after == before


def test_a_message_that_is_refused_is_told(site: Site):
    site.wait_ready("zigbee")
    site.publish("zigbee2mqtt/hall-4/attic", '{"t": "warm"}')
    until(lambda: site.status("zigbee").get("refused") == 1, state=lambda: site.status("zigbee"))
    last = site.status("zigbee")["lastRefused"]
    assert (last["topic"], last["reason"]) == ("zigbee2mqtt/hall-4/attic", "not_a_number")
    assert "/t" in last["detail"]
    assert last["at"].endswith("Z")


def test_what_the_chart_does_not_let_the_compactor_read_is_not_permitted(site: Site):
    site.apply(feed("secret", "vault/{device}"))
    site.wait_ready("secret", "NotPermitted")
    assert "mosquitto.deviceTopics" in site.ready("secret")["message"]
    assert "vault/+" in site.ready("secret")["message"]
    site.release.kubectl("delete", "feed", "secret")


def test_an_overlap_names_both_and_stops_no_other(site: Site):
    site.apply(feed("late", "zigbee2mqtt/{rest...}"), feed("yard", "yard/{device}"))
    site.wait_ready("late", "NotAccepted")
    site.wait_ready("yard")
    (accepted,) = [c for c in site.status("late")["conditions"] if c["type"] == "Accepted"]
    assert accepted["reason"] == "Overlaps"
    assert f"{site.release.namespace}/late" in accepted["message"]
    assert f"{site.release.namespace}/zigbee" in accepted["message"]
    assert set(site.loaded()) == {"zigbee", "yard"}


def test_without_an_operator_a_compactor_that_starts_again_has_its_feeds(site: Site):
    release = site.release
    release.kubectl("scale", f"deployment/{NAME}-operator", "--replicas=0")
    until(lambda: not release.pods("operator"))
    release.kubectl("rollout", "restart", f"deployment/{NAME}-compactor")
    release.kubectl("rollout", "status", f"deployment/{NAME}-compactor", "--timeout=120s")
    until(lambda: _is_subscribed(site, "zigbee", "yard"), state=site.loaded)
    release.kubectl("scale", f"deployment/{NAME}-operator", "--replicas=1")
    release.kubectl("rollout", "status", f"deployment/{NAME}-operator", "--timeout=120s")


def _is_subscribed(site: Site, *names: str) -> bool:
    found = site.loaded()
    return all(found.get(name, {}).get("subscription") == "subscribed" for name in names)


def test_a_compactor_that_is_away_is_said_to_be_unknown(site: Site):
    release = site.release
    release.kubectl("scale", f"deployment/{NAME}-compactor", "--replicas=0")
    site.wait_ready("yard", "CompactorUnreachable")
    assert site.ready("yard")["status"] == "Unknown"
    release.kubectl("scale", f"deployment/{NAME}-compactor", "--replicas=1")
    site.wait_ready("yard", seconds=120)


def test_a_deleted_feed_ends_its_subscription(site: Site):
    site.release.kubectl("delete", "feed", "zigbee", "late")
    until(lambda: set(site.loaded()) == {"yard"}, seconds=PROMISED_SECONDS)
    until(lambda: not _hears(site, "zigbee2mqtt/hall-4/attic"))
    site.publish("yard/gate", '{"t": 4}')
    site.release.wait_facilities("yard")


def _hears(site: Site, topic: str) -> bool:
    """Whether the compactor receives what is published on a topic."""
    before = _received(site)
    site.publish(topic, '{"t": 1}')
    site.publish("yard/gate", '{"t": 3}')
    until(lambda: _received(site) > before)
    return _received(site) - before > 1


def _received(site: Site) -> int:
    return _metric(site, "sensorpipe_compactor_received_total")


def _metric(site: Site, name: str) -> int:
    (pod,) = site.release.pods("compactor")
    with site.release.cluster.port_forward(f"pod/{pod}", 9090, site.release.namespace) as port:
        text = get(f"http://127.0.0.1:{port}/metrics", seconds=20).decode()
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return int(float(line.split()[1]))
