"""What only a cluster of the tests' own may suffer: a silent node, Sensors not defined."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cluster_cgroups
import cluster_own
import pytest
from cluster_client import Cluster
from cluster_home import UnavailableError
from cluster_own import OwnCluster
from support.kube import broker_pod, operator_process
from support.kube.operator_process import Namespace, Operator
from support.kube.operator_sensors import sensor
from support.waiting import until

SHARES = ("boiler", "boiler.1")


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A cluster that nobody else uses."""
    if (reason := cluster_own.why_not()) is not None:
        raise UnavailableError(reason)
    made = cluster_own.start()
    try:
        cluster = Cluster(made.layout.kubeconfig, made, made.programs)
        operator_process.install(cluster)
        yield cluster
    finally:
        made.stop()


@pytest.fixture
def operator(own: Cluster, tmp_path: Path) -> Iterator[Operator]:
    config_file = operator_process.kubeconfig(own, tmp_path)
    image = own.load_image("generator")
    with operator_process.running(own, tmp_path, config_file, GENERATOR_IMAGE=image) as made:
        yield made


@pytest.fixture
def namespace(own: Cluster) -> Iterator[Namespace]:
    with own.namespace() as name:
        yield Namespace(own, name)


@contextmanager
def silent_node(own: Cluster) -> Iterator[None]:
    """Have the node's agent do nothing, as if the node were cut off: its pods go on."""
    assert isinstance(own.maker, OwnCluster)
    pids = cluster_cgroups.processes(own.maker.layout.cgroup)
    (kubelet,) = (pid for pid in pids if cluster_own.calls(pid, "kubelet"))
    os.kill(kubelet, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kubelet, signal.SIGCONT)


def test_a_silent_node_is_named_and_so_is_a_pod_that_does_not_end_on_it(
    own: Cluster, namespace: Namespace, operator: Operator
) -> None:
    assert operator.process.poll() is None
    broker_pod.start(own, namespace.name)
    namespace.apply(sensor("boiler"))
    namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")
    (pod,) = namespace.get("pods", "-l", "sensorpipe.dev/sensor=boiler")["items"]
    place = f"pod {pod['metadata']['name']} on {pod['spec']['nodeName']}"
    with silent_node(own):
        namespace.wait_reason("boiler", "NodeLost", seconds=120)
        assert place in namespace.condition("boiler")["message"]
        arguments = ["--grace-period=1", "--wait=false"]
        namespace.kubectl("delete", "pod", pod["metadata"]["name"], *arguments)
        namespace.kubectl("scale", "sensor/boiler", "--replicas=2")
        namespace.wait_reason("boiler", "PodNotEnding", seconds=90)
        assert place in namespace.condition("boiler")["message"]
        # who has another share of the devices waits for the end of who had them before
        replicas = [namespace.get(f"deploy/{one}")["spec"]["replicas"] for one in SHARES]
        assert replicas == [0, 0]
    namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=120s")


def test_the_definition_of_sensors_may_go_and_come_back(
    own: Cluster, namespace: Namespace, operator: Operator
) -> None:
    namespace.apply(sensor("boiler", replicas=0))
    namespace.wait_reason("boiler", "ScaledToZero")
    own.kubectl("delete", "crd/sensors.sensorpipe.dev", "--timeout=60s")
    chosen = ["-l", "app.kubernetes.io/managed-by=sensorpipe-operator"]
    until(lambda: namespace.get("deployments,configmaps", *chosen)["items"] == [])
    until(lambda: "Waiting for the cluster" in operator.log.read_text())
    operator_process.install(own)
    namespace.apply(sensor("other", replicas=0))
    namespace.wait_reason("other", "ScaledToZero")
    assert operator.stop() == 0
