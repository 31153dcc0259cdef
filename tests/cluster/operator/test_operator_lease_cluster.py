"""Two operators of one release on a real API server: one acts, the other takes over."""

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cluster_client import Cluster
from support.kube import broker_pod, operator_process
from support.kube.operator_process import Namespace, Operator, frozen
from support.kube.operator_sensors import sensor, settled
from support.waiting import until

pytest_plugins = ["support.kube.operator_fixtures"]

Start = Callable[[], AbstractContextManager[Operator]]

LEASE = "sensorpipe-operator"
LEADING = "sensorpipe_operator_leading"
WRITES = "sensorpipe_operator_writes_total"


@pytest.fixture
def namespace(with_broker: Namespace) -> Namespace:
    return with_broker


@pytest.fixture
def start(cluster: Cluster, config_file: Path, tmp_path: Path, namespace: Namespace) -> Start:
    """Start an operator of the one release in the namespace."""
    lease = operator_process.templates("operator/lease.yaml")
    cluster.apply(*lease, namespace=operator_process.NAMESPACE)
    return partial(
        operator_process.running,
        cluster,
        tmp_path,
        config_file,
        GENERATOR_IMAGE=cluster.load_image("generator"),
        WATCH_NAMESPACES=namespace.name,
        LEASE=f"{operator_process.NAMESPACE}/{LEASE}",
    )


def spec(cluster: Cluster) -> dict[str, Any]:
    found = Namespace(cluster, operator_process.NAMESPACE).get(f"lease/{LEASE}")
    return dict(found.get("spec") or {})


def kept(namespace: Namespace) -> dict[str, tuple[str, int]]:
    """Return what a restart of a generator would change."""
    found = namespace.get("deployments,pods")["items"]
    return {
        f"{item['kind']}/{item['metadata']['name']}": (
            item["metadata"]["uid"],
            item["metadata"].get("generation", 0),
        )
        for item in found
    }


def test_the_other_takes_over_from_a_killed_holder_without_a_restart(
    cluster: Cluster, namespace: Namespace, start: Start
) -> None:
    broker_pod.start(cluster, namespace.name)
    with start() as first:
        until(lambda: first.metric(LEADING) == 1)
        holder = spec(cluster)["holderIdentity"]
        with start() as second:
            namespace.apply(sensor("boiler"))
            namespace.wait_reason("boiler", "Running")
            assert (second.metric(LEADING), second.metric(WRITES)) == (0, 0)
            assert spec(cluster)["holderIdentity"] == holder
            before, transitions = kept(namespace), spec(cluster)["leaseTransitions"]
            assert first.stop(signal.SIGKILL) == -signal.SIGKILL
            until(lambda: second.metric(LEADING) == 1)
            assert spec(cluster)["holderIdentity"] != holder
            assert spec(cluster)["leaseTransitions"] == transitions + 1
            namespace.apply(sensor("other", replicas=0))
            namespace.wait_reason("other", "ScaledToZero")
            after = kept(namespace)
            assert {name: after[name] for name in before} == before
            assert second.stop() == 0
    assert "holderIdentity" not in spec(cluster)


def test_of_two_releases_one_keeps_the_sensor_until_it_is_uninstalled(
    cluster: Cluster,
    config_file: Path,
    tmp_path: Path,
    namespace: Namespace,
    start: Start,
) -> None:
    other = Namespace(cluster, namespace.name)
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    other.apply({**lease, "metadata": {"name": "other"}})
    # as the chart gives it in the release's namespace
    rule = ["--verb=get,update,create", "--resource=leases.coordination.k8s.io"]
    other.kubectl("create", "role", "lease", *rule)
    account = f"{operator_process.NAMESPACE}:{operator_process.ACCOUNT}"
    other.kubectl("create", "rolebinding", "lease", "--role=lease", f"--serviceaccount={account}")
    run = partial(
        operator_process.running,
        cluster,
        tmp_path,
        config_file,
        GENERATOR_IMAGE="localhost/other:1",
        WATCH_NAMESPACES=namespace.name,
        LEASE=f"{namespace.name}/other",
    )
    with start() as first:
        namespace.apply(sensor("boiler", replicas=0))
        namespace.wait_reason("boiler", "ScaledToZero")
        with run() as second:
            until(lambda: second.metric(LEADING) == 1)
            until(lambda: second.metric("sensorpipe_operator_others_sensors") == 1)
            namespace.apply(sensor("boiler", replicas=0, seed=2))
            until(lambda: settled(namespace, 2) == ["boiler"])
            until(lambda: not second.metric("sensorpipe_operator_queue"))
            assert second.metric(WRITES) == 0
            before = namespace.get("deployment/boiler")
            image = before["spec"]["template"]["spec"]["containers"][0]["image"]
            assert image != "localhost/other:1"
            mark = before["metadata"]["annotations"]["sensorpipe.dev/operator"]
            assert mark == f"{operator_process.NAMESPACE}/{LEASE}"
            assert first.stop() == 0
            until(lambda: "OtherOperator" in namespace.kubectl("get", "events"))
            assert second.metric(WRITES) == 0  # the release is down, but not gone
            home = Namespace(cluster, operator_process.NAMESPACE)
            home.kubectl("delete", f"lease/{LEASE}")
            until(lambda: second.metric(WRITES) > 0, seconds=90)
            namespace.wait_reason("boiler", "ScaledToZero")
            until(lambda: second.metric("sensorpipe_operator_others_sensors") == 0)


def test_a_terminated_holder_lets_the_other_act_at_once(
    cluster: Cluster, namespace: Namespace, start: Start
) -> None:
    with start() as first:
        until(lambda: first.metric(LEADING) == 1)
        with start() as second:
            namespace.apply(sensor("a", replicas=0))
            until(lambda: settled(namespace, 1) == ["a"])
            assert first.stop() == 0
            assert "holderIdentity" not in spec(cluster) or second.metric(LEADING) == 1
            until(lambda: second.metric(LEADING) == 1)
            namespace.apply(sensor("a", replicas=0, seed=2))
            until(lambda: settled(namespace, 2) == ["a"])
            assert second.metric(WRITES) == 3  # each of the three once: it was changed


def test_a_holder_that_was_suspended_writes_nothing_more(
    namespace: Namespace, start: Start
) -> None:
    with start() as first:
        until(lambda: first.metric(LEADING) == 1)
        namespace.apply(sensor("a", replicas=0))
        until(lambda: settled(namespace, 1) == ["a"])
        with start() as second:
            with frozen(first):
                until(lambda: second.metric(LEADING) == 1)
                written = second.metric(WRITES)
                namespace.apply(sensor("a", replicas=0, seed=2))
                until(lambda: settled(namespace, 2) == ["a"])
            before = first.metric(WRITES)
            until(lambda: first.metric(LEADING) == 0)
            namespace.apply(sensor("a", replicas=0, seed=3))
            until(lambda: settled(namespace, 3) == ["a"])
            assert first.metric(WRITES) == before
            assert second.metric(WRITES) > written
            assert first.get("/readyz")[0] == 200
            assert first.get("/healthz")[0] == 200
