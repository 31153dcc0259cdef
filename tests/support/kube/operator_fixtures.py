"""An operator for a whole cluster, and namespaces with and without a broker: a pytest plugin."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_client import Cluster
from support.kube import broker_pod, operator_process
from support.kube.operator_process import Namespace, Operator


@pytest.fixture(scope="module")
def config_file(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's kubeconfig, in a cluster that knows Sensors."""
    operator_process.install(cluster)
    return operator_process.kubeconfig(cluster, tmp_path_factory.mktemp("account"))


@pytest.fixture(scope="module")
def operator(
    cluster: Cluster, config_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """One operator for the whole cluster."""
    image = cluster.load_image("generator")
    folder = tmp_path_factory.mktemp("operator")
    with operator_process.running(cluster, folder, config_file, GENERATOR_IMAGE=image) as it:
        yield it


@pytest.fixture
def with_broker(cluster: Cluster) -> Iterator[Namespace]:
    """A namespace with a broker's Secret in it."""
    with cluster.namespace() as name:
        made = Namespace(cluster, name)
        made.apply(broker_pod.secret(name))
        yield made


@pytest.fixture
def namespace(operator: Operator, with_broker: Namespace) -> Namespace:
    """Such a namespace of the one operator's."""
    del operator
    return with_broker


@pytest.fixture
def broker(cluster: Cluster, namespace: Namespace) -> Iterator[int]:
    """The port of a Mosquitto pod in the namespace."""
    broker_pod.start(cluster, namespace.name)
    with cluster.port_forward("deployment/mosquitto", 1883, namespace.name) as port:
        yield port
