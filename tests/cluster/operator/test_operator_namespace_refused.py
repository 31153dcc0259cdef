"""One of several namespaces goes, and with it the operator's rights there, and comes back."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from cluster_client import Cluster
from support.kube import broker_pod, operator_process
from support.kube.operator_process import Namespace, Operator, frozen
from support.kube.operator_proxy import spoilable
from support.kube.operator_sensors import sensor, settled
from support.waiting import until

pytest_plugins = ["support.kube.operator_fixtures"]


@pytest.fixture
def other(cluster: Cluster, namespace: Namespace) -> Iterator[Namespace]:
    with cluster.namespace() as name:
        assert name != namespace.name
        yield Namespace(cluster, name)


@contextmanager
def rights(cluster: Cluster, *namespaces: Namespace) -> Iterator[tuple[str, str]]:
    """Install an operator's account for these namespaces; yield its name and the manifests."""
    names = [namespace.name for namespace in namespaces]
    settings = (f"fullnameOverride={names[0]}", f"sensors.namespaces={{{','.join(names)}}}")
    files = ("serviceaccounts.yaml", "operator/rbac.yaml")
    made = yaml.safe_dump_all(operator_process.templates(*files, sets=settings))
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=made)
    try:
        yield f"{names[0]}-operator", made
    finally:
        cluster.kubectl("delete", "-f", "-", "--ignore-not-found", stdin=made)


@pytest.mark.parametrize("told_by", ["list", "watch"])
def test_one_namespace_that_goes_stops_nothing_in_the_other(
    cluster: Cluster,
    tmp_path: Path,
    namespace: Namespace,
    other: Namespace,
    operator: Operator,
    *,
    told_by: str,
) -> None:
    with ExitStack() as stack:
        account, manifests = stack.enter_context(rights(cluster, namespace, other))
        config_file = operator_process.kubeconfig(cluster, tmp_path, account)
        proxy, path = stack.enter_context(spoilable(config_file, tmp_path))
        settings = {
            "GENERATOR_IMAGE": "localhost/none:1",
            "WATCH_NAMESPACES": f"{other.name},{namespace.name}",
            "RESYNC": "1s" if told_by == "list" else "1h",
        }
        stack.enter_context(frozen(operator))
        running = operator_process.running(cluster, tmp_path, path, **settings)
        mine = stack.enter_context(running)
        for each in (namespace, other):
            each.apply(sensor("boiler", replicas=0))
            each.wait_reason("boiler", "ScaledToZero")
        cluster.kubectl("delete", "namespace", other.name, "--timeout=90s")
        if told_by == "watch":
            proxy.expire_watches()
        said = f"no access to these namespaces: {other.name}\n"
        until(lambda: mine.get("/readyz") == (503, said))
        assert mine.metric("sensorpipe_operator_refused_namespaces") == 1
        assert mine.metric("sensorpipe_operator_sensors") == 1
        namespace.apply(sensor("boiler", replicas=0, seed=5))
        until(lambda: settled(namespace, 2) == ["boiler"])
        assert mine.get("/healthz")[0] == 200

        cluster.kubectl("create", "namespace", other.name)
        cluster.kubectl("apply", "--server-side", "-f", "-", stdin=manifests)
        until(lambda: mine.get("/readyz")[0] == 200)
        other.apply(broker_pod.secret(other.name), sensor("again", replicas=0))
        other.wait_reason("again", "ScaledToZero")
        namespace.apply(sensor("boiler", replicas=0, seed=6))
        until(lambda: settled(namespace, 3) == ["boiler"])
        assert mine.stop() == 0
