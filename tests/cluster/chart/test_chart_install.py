"""The chart on a real cluster, from helm install to uninstall, with everything killed between.

The tests of this file tell one story of one release, in this order. Strimzi's operator cannot
run everywhere; `strimzi_stand_in` plays its part, from the very resources that the chart makes.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cluster_client import Cluster, KubectlError
from sensorpipe_schema.names import COMPACTED, DEAD_COMPACTED, DEAD_READINGS, SERVER_GROUP
from sensorpipe_schema.sensor import API_VERSION
from support.chart import broker as chart_broker
from support.chart.release import (
    NAME,
    Release,
    chart_images,
    flows,
    forget_definitions,
    rest,
    resume,
    windows,
)
from support.kube import client_pod
from support.services import ROOT
from support.strimzi.stand_in import StandIn, strimzi
from support.waiting import until

AUDIENCE = "sensorpipe"
"""Of tokens for the API, which Kubernetes itself refuses."""

FACILITIES = ("facility_1", "facility_2", "facility_3")
LOAD = {
    "apiVersion": API_VERSION,
    "kind": "Sensor",
    "metadata": {"name": "load"},
    "spec": {
        "facility": "load",
        "count": 100,
        "interval": "500ms",
        "measurements": [{"name": "level", "signal": {"normal": {"mean": 1, "stdev": 1}}}],
    },
}


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[Release]:
    """A namespace for the release, with the restricted standard; nothing is installed yet."""
    images = chart_images(cluster)
    with cluster.namespace() as namespace:
        yield Release(cluster, namespace, images)


@pytest.fixture(scope="module")
def kafka(release: Release) -> Iterator[StandIn]:
    """Strimzi, or who plays its part."""
    with strimzi(release.cluster, release.namespace) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def installed(release: Release, kafka: StandIn) -> Release:
    """The release, as a user who types the README's commands has it."""
    del kafka
    forget_definitions(release.cluster)
    release.install()
    release.kubectl("apply", "-f", str(ROOT / "manifests/samples"))
    release.kubectl("wait", "--for=condition=Ready", "sensors", "--all", "--timeout=120s")
    return release


# --- 1: from nothing to the API's answer ---


def test_the_samples_are_answered_and_nothing_is_lost(installed: Release):
    installed.wait_facilities(*FACILITIES)
    names = {item["facility_name"] for item in installed.ask("/api/facilities")["data"]}
    assert names >= set(FACILITIES)
    rest(installed)
    said = installed.verify()
    assert "lost 0, duplicates 0" in said
    resume(installed, "facility-1", "facility-2", "facility-3")


def test_helm_test_asks_the_same(installed: Release):
    said = installed.cluster.helm("test", NAME, "-n", installed.namespace, "--timeout=2m")
    assert "Succeeded" in said


def test_every_pod_is_restricted_and_of_ours_only_the_operator_has_a_token(installed: Release):
    with_token = set()
    for pod in installed.get("pods")["items"]:
        volumes = pod["spec"].get("volumes", [])
        sources = [
            source
            for volume in volumes
            for source in volume.get("projected", {}).get("sources", [])
        ]
        tokens = [one["serviceAccountToken"] for one in sources if "serviceAccountToken" in one]
        if any(token.get("audience") != AUDIENCE for token in tokens):
            labels = pod["metadata"]["labels"]
            with_token.add(labels.get("app.kubernetes.io/component") or labels["strimzi.io/name"])
    # Strimzi's own pods are as Strimzi makes them; its brokers may have a token as well
    assert with_token - {f"{NAME}-kafka"} == {"operator", f"{NAME}-entity-operator"}
    violating = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "violating"},
        "spec": {
            "containers": [{"name": "main", "image": "x", "securityContext": {"privileged": True}}]
        },
    }
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        installed.kubectl("create", "-f", "-", stdin=yaml.safe_dump(violating))


# --- 5: what each password opens, and what nobody may without one ---


@pytest.fixture(scope="module")
def client(installed: Release) -> Release:
    """A pod with the passwords of server and compactor, to try them from."""
    secrets = {f"{NAME}-{name}": f"{NAME}-{name}" for name in ("server", "compactor")}
    secrets |= {"mongodb": f"{NAME}-mongodb", "ca": f"{NAME}-cluster-ca-cert"}
    image = installed.cluster.load_image("server")
    made = (client_pod.admission(), client_pod.pod(image, secrets))
    installed.cluster.apply(*made, namespace=installed.namespace)
    installed.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
    return installed


def test_a_user_of_kafka_may_do_its_part_and_no_more(client: Release):
    server, compactor = f"{NAME}-server", f"{NAME}-compactor"
    expected = {
        f"read:{compactor}:{COMPACTED}": "read",
        f"read:{server}:{COMPACTED}": "read",
        f"write:{server}:{COMPACTED}": "TopicAuthorizationFailedError",
        f"group={SERVER_GROUP}:{compactor}:{COMPACTED}": "GroupAuthorizationFailedError",
        f"group=another:{server}:{COMPACTED}": "GroupAuthorizationFailedError",
        f"write:{compactor}:{DEAD_COMPACTED}": "TopicAuthorizationFailedError",
        f"read:{compactor}:{DEAD_READINGS}": "TopicAuthorizationFailedError",
        f"read:{server}:{DEAD_READINGS}": "read",
        f"read:{server}:{DEAD_COMPACTED}": "read",
        f"write:{server}:{DEAD_READINGS}": "TopicAuthorizationFailedError",
        f"create:{server}:another": "AuthorizationFailedError",
        f"create:{compactor}:another": "AuthorizationFailedError",
        f"policy:{compactor}:{COMPACTED}": "delete",
        f"policy:{compactor}:{DEAD_READINGS}": "delete",
        f"policy:{server}:{COMPACTED}": "delete",
        f"policy:{server}:{DEAD_COMPACTED}": "TopicAuthorizationFailedError",
        f"wrong:{server}:{COMPACTED}": "KafkaConnectionError",
        f"none:nobody:{COMPACTED}": "KafkaConnectionError",
    }
    bootstrap = f"{NAME}-kafka-bootstrap:9093"
    outcomes = client_pod.kafka(client.cluster, client.namespace, bootstrap, *expected)
    found = dict(zip(expected, outcomes, strict=True))
    assert {key: value for key, value in found.items() if expected[key] not in value} == {}


def test_the_servers_user_of_mongodb_has_its_database_and_no_other(client: Release):
    script = (ROOT / "tests/support/kube/mongodb_attempts.py").read_text()
    outcomes = client_pod.run(client.cluster, client.namespace, script)
    assert outcomes.pop("reads its own") == "ok"
    assert {name: said for name, said in outcomes.items() if said != "Unauthorized"} == {}


@pytest.mark.parametrize(
    ("user", "topic"),
    [("generator", "other"), ("compactor", "sensor_readings/a/b"), ("", "sensor_readings/a/b")],
)
def test_nobody_publishes_but_generators_and_they_only_readings(
    installed: Release, user: str, topic: str
):
    said = chart_broker.attempt(installed, "mosquitto_pub", "-t", topic, "-m", "1", user=user)
    assert "not authori" in said.lower()


def test_nobody_hears_readings_but_the_compactor(installed: Release):
    listen = ["-t", "sensor_readings/#", "-C", "1", "-W", "10"]
    assert '"val"' in chart_broker.attempt(installed, "mosquitto_sub", *listen, user="compactor")
    # the broker grants any subscription, and sends nothing that its rules do not let one read
    said = chart_broker.attempt(installed, "mosquitto_sub", *listen, user="generator")
    assert said.strip() == "Timed out"


# --- 2: everything killed under load ---


@pytest.fixture(scope="module")
def loaded(installed: Release) -> Release:
    """The release with 200 readings a second more."""
    installed.cluster.apply(LOAD, namespace=installed.namespace)
    installed.kubectl("wait", "--for=condition=Ready", "sensor/load", "--timeout=120s")
    installed.wait_facilities("load")
    return installed


@pytest.mark.parametrize("component", ["operator", "compactor", "server", "mosquitto", "mongodb"])
def test_a_component_whose_pod_is_deleted_comes_back_and_the_data_flows(
    loaded: Release, component: str
):
    loaded.replace(component)
    flows(loaded, "load")


@pytest.mark.parametrize("component", ["compactor", "server"])
def test_a_pod_that_is_killed_at_once_comes_back_and_the_data_flows(
    loaded: Release, component: str
):
    loaded.replace(component, "--grace-period=0", "--force")
    flows(loaded, "load")


def test_kafka_restarts_under_load(loaded: Release, kafka: StandIn):
    kafka.restart()
    flows(loaded, "load")


def test_kafkas_authority_gets_another_key_under_load(loaded: Release, kafka: StandIn):
    certificates, generation = f"secret/{NAME}-cluster-ca-cert", "strimzi.io/ca-cert-generation"
    before = int(loaded.get(certificates)["metadata"]["annotations"][generation])
    loaded.kubectl("annotate", f"secret/{NAME}-cluster-ca", "strimzi.io/force-replace=true")

    def replaced() -> bool:
        # the former one goes once the broker has a certificate that the new key signed
        there = loaded.get(certificates)
        reached = int(there["metadata"]["annotations"][generation])
        return reached == before + 1 and list(there["data"]) == ["ca.crt"]

    until(replaced, seconds=240)
    kafka.restart()  # ends the connections that were made with the former one
    flows(loaded, "load")


def test_an_upgrade_to_other_settings_and_back_arrives(loaded: Release):
    def lateness() -> str:
        (compactor,) = loaded.get("deployments", "-l", "app.kubernetes.io/component=compactor")[
            "items"
        ]
        env = compactor["spec"]["template"]["spec"]["containers"][0]["env"]
        return str(next(one["value"] for one in env if one["name"] == "SENSORPIPE_LATENESS"))

    loaded.upgrade("--set=compactor.lateness=3s", "--set=server.pageLimit=50")
    assert lateness() == "3s"
    flows(loaded, "load")
    loaded.rollback()
    assert lateness() == "2s"
    flows(loaded, "load")


def test_after_all_that_nothing_is_lost_or_duplicate(loaded: Release):
    rest(loaded)
    said = loaded.verify()
    assert "lost 0, duplicates 0" in said
    sources = loaded.ask("/api/integrity")["data"]
    assert {source["first"] for source in sources} == {1}  # nor is the beginning of one missing


# --- 3: uninstalled and installed again ---


def passwords(release: Release) -> dict[str, Any]:
    """Return what the release's Secrets hold."""
    chosen = ["-l", f"app.kubernetes.io/instance={NAME}"]
    return {
        one["metadata"]["name"]: one["data"] for one in release.get("secrets", *chosen)["items"]
    }


def test_sensors_and_data_survive_an_uninstall(loaded: Release):
    rest(loaded)
    loaded.verify()
    stored = windows(loaded, "load")
    held = passwords(loaded)
    loaded.uninstall()
    sensors = {one["metadata"]["name"] for one in loaded.get("sensors")["items"]}
    assert sensors == {"facility-1", "facility-2", "facility-3", "load"}
    until(lambda: not loaded.pods("server"))
    loaded.install()
    assert windows(loaded, "load") == stored
    assert passwords(loaded) == held
    resume(loaded, "load")
    flows(loaded, "load")
    rest(loaded)
    assert "lost 0, duplicates 0" in loaded.verify()


def test_nothing_hangs_when_the_definition_of_sensors_is_removed(loaded: Release):
    forget_definitions(loaded.cluster)
    until(lambda: not loaded.pods("generator"))
    loaded.upgrade()  # brings it back, to an operator that has gone on running
    loaded.cluster.apply(LOAD, namespace=loaded.namespace)
    loaded.kubectl("wait", "--for=condition=Ready", "sensor/load", "--timeout=120s")
    forget_definitions(loaded.cluster)
    loaded.uninstall()
