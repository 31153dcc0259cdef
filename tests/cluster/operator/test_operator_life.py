"""The operator itself: killed, run twice, without an API server, in a pod, in one namespace."""

import json
import signal
from functools import partial
from pathlib import Path

import yaml
from cluster_client import Cluster, KubectlError
from sensorpipe_operator.names import MANAGER
from support.chart import render as chart_render
from support.kube import operator_process
from support.kube.operator_process import Namespace, Operator, frozen
from support.kube.operator_sensors import sensor, settled
from support.waiting import until

pytest_plugins = ["support.kube.operator_fixtures"]

QUEUE = "sensorpipe_operator_queue"
WRITES = "sensorpipe_operator_writes_total"


def written(namespace: Namespace, names: list[str]) -> dict[str, object]:
    """Return what the operator wrote of these Sensors and their children, and when.

    Their resource versions would tell what a Deployment's controller wrote as well, which comes
    to an end at a time of its own.
    """
    found = namespace.get("sensors,deployments,configmaps", "--show-managed-fields")["items"]
    return {
        f"{item['kind']}/{item['metadata']['name']}": [
            item["metadata"].get("generation"),
            *(held for held in item["metadata"]["managedFields"] if held["manager"] == MANAGER),
        ]
        for item in found
        if item["metadata"]["name"] in names
    }


def test_a_killed_operator_finishes_what_it_missed(
    cluster: Cluster, config_file: Path, tmp_path: Path, namespace: Namespace, operator: Operator
) -> None:
    image = cluster.load_image("generator")
    run = partial(operator_process.running, cluster, tmp_path, config_file, GENERATOR_IMAGE=image)
    names = [f"s{i:02}" for i in range(50)]
    with frozen(operator):
        with run() as first:
            namespace.apply(*(sensor(name, replicas=0) for name in names))
            until(lambda: settled(namespace, 1) == names)
            kept = written(namespace, names[:10])
            namespace.apply(*(sensor(name, replicas=0, seed=1) for name in names[10:30]))
            assert first.stop(signal.SIGKILL) == -signal.SIGKILL
        namespace.apply(*(sensor(name, replicas=0, seed=1) for name in names[30:]))
        namespace.kubectl("delete", "sensor", *names[45:])
        with run() as second:
            until(lambda: settled(namespace, 2) == names[10:45])
            until(lambda: namespace.names("deployments") == names[:45])
            assert written(namespace, names[:10]) == kept
            assert second.stop() == 0


def test_two_operators_by_accident_do_not_fight(
    cluster: Cluster, config_file: Path, tmp_path: Path, namespace: Namespace, operator: Operator
) -> None:
    image = cluster.load_image("generator")
    namespace.apply(sensor("boiler", replicas=0))
    with operator_process.running(cluster, tmp_path, config_file, GENERATOR_IMAGE=image) as other:
        namespace.wait_reason("boiler", "ScaledToZero")
        for generation in (2, 3, 4):
            patch = json.dumps({"spec": {"seed": generation}})
            namespace.kubectl("patch", "sensor/boiler", "--type=merge", "-p", patch)
            until(lambda n=generation: settled(namespace, n) == ["boiler"])  # type: ignore[misc]
        until(lambda: not operator.metric(QUEUE) and not other.metric(QUEUE))
        content = namespace.get("configmap/boiler")["data"].values()
        assert ['"seed": 4' in text for text in content] == [True]
        kept = written(namespace, ["boiler"])
        writes = operator.metric(WRITES) + other.metric(WRITES)
        namespace.apply(sensor("other", replicas=0))  # something else that both react to
        namespace.wait_reason("other", "ScaledToZero")
        assert written(namespace, ["boiler"]) == kept
        assert operator.metric(WRITES) + other.metric(WRITES) - writes <= 6


def test_the_operator_outlives_the_api_server(
    cluster: Cluster, namespace: Namespace, operator: Operator
) -> None:
    cluster.restart_api_server()

    def answers() -> bool:
        try:
            return cluster.kubectl("get", "--raw", "/readyz", timeout=10) == "ok"
        except KubectlError:
            return False

    until(answers)
    namespace.apply(sensor("after", replicas=0))
    namespace.wait_reason("after", "ScaledToZero")
    assert operator.process.poll() is None
    until(lambda: operator.get("/healthz")[0] == 200)


def test_an_operator_of_one_namespace_needs_no_right_beyond_it(
    cluster: Cluster, tmp_path: Path, namespace: Namespace, operator: Operator
) -> None:
    account = f"{namespace.name}-operator"
    settings = (f"fullnameOverride={namespace.name}", f"sensors.namespaces={{{namespace.name}}}")
    files = ("serviceaccounts.yaml", "operator/rbac.yaml")
    rights = yaml.safe_dump_all(operator_process.templates(*files, sets=settings))
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=rights)
    config_file = operator_process.kubeconfig(cluster, tmp_path, account)
    watch = {"GENERATOR_IMAGE": "localhost/none:1", "WATCH_NAMESPACES": namespace.name}
    with frozen(operator), operator_process.running(cluster, tmp_path, config_file, **watch):
        namespace.apply(sensor("boiler", replicas=0))
        namespace.wait_reason("boiler", "ScaledToZero")
        namespace.kubectl("delete", "deploy/boiler")
        until(lambda: namespace.names("deployments") == ["boiler"])
        namespace.kubectl("delete", "sensor/boiler")
    cluster.kubectl("delete", "-f", "-", stdin=rights)


def test_the_operator_runs_as_a_pod(
    cluster: Cluster, namespace: Namespace, operator: Operator, broker: int
) -> None:
    del broker
    settings = ["sensors.clusterWide=true"]
    for app in ("operator", "generator"):
        settings += chart_render.image(app, cluster.load_image(app))
    files = ("operator/lease.yaml", "operator/deployment.yaml")
    made = operator_process.templates(*files, sets=settings)
    home = operator_process.NAMESPACE
    with frozen(operator):
        cluster.apply(*made, namespace=home)
        try:
            wait = ["rollout", "status", "deployment/sensorpipe-operator", "--timeout=90s"]
            cluster.kubectl("-n", home, *wait)
            namespace.apply(sensor("boiler"))
            namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")
            namespace.apply(sensor("other", replicas=0))
            namespace.wait_reason("other", "ScaledToZero")
            # deletion is the garbage collector's
            cluster.kubectl("-n", home, "scale", "deployment/sensorpipe-operator", "--replicas=0")
            chosen = ["-n", home, "-l", "app.kubernetes.io/component=operator"]
            until(lambda: cluster.kubectl("get", "pods", *chosen) == "")
            namespace.kubectl("delete", "sensor/boiler")
            until(lambda: [one for one in namespace.ours() if "boiler" in one] == [])
            cluster.kubectl("delete", "namespace", namespace.name, "--timeout=90s")
            assert namespace.gone()
        finally:
            cluster.kubectl("delete", "-n", home, "deployment/sensorpipe-operator", "--wait")
