"""The operator learns of every change, whatever happens to its watches, in few requests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_client import Cluster
from support.kube import operator_process
from support.kube.operator_process import Namespace, Operator
from support.kube.operator_proxy import Proxy, spoilable
from support.kube.operator_sensors import sensor, settled
from support.waiting import until

pytest_plugins = ["support.kube.operator_fixtures"]


@pytest.fixture
def namespace(with_broker: Namespace) -> Namespace:
    return with_broker


@pytest.fixture
def proxy(config_file: Path, tmp_path: Path) -> Iterator[Proxy]:
    with spoilable(config_file, tmp_path) as (made, _):
        yield made


@pytest.fixture
def operator(
    cluster: Cluster, proxy: Proxy, tmp_path: Path, namespace: Namespace
) -> Iterator[Operator]:
    """An operator of the one namespace that reaches the API server through the proxy."""
    settings = {"GENERATOR_IMAGE": "localhost/none:1", "WATCH_NAMESPACES": namespace.name}
    path = tmp_path / "spoilable.kubeconfig"
    assert proxy.port
    with operator_process.running(cluster, tmp_path, path, **settings) as made:
        yield made


def test_what_went_while_a_watch_was_expired_is_noticed(
    namespace: Namespace, operator: Operator, proxy: Proxy
) -> None:
    namespace.apply(*(sensor(name, replicas=0) for name in ("a", "b", "c")))
    until(lambda: settled(namespace, 1) == ["a", "b", "c"])
    proxy.mute = True
    namespace.kubectl("delete", "deployment/a", "sensor/b")
    until(lambda: namespace.names("deployments") == ["c"])
    namespace.apply(sensor("c", replicas=0, seed=5))
    proxy.mute = False
    proxy.expire_watches()
    until(lambda: settled(namespace, 2) == ["c"])
    until(lambda: namespace.names("deployments") == ["a", "c"])
    until(lambda: operator.metric("sensorpipe_operator_sensors") == 2)
    assert operator.process.poll() is None


def test_an_api_server_in_trouble_for_long_ends_nothing(
    namespace: Namespace, operator: Operator, proxy: Proxy
) -> None:
    namespace.apply(sensor("a", replicas=0))
    until(lambda: settled(namespace, 1) == ["a"])
    proxy.refuse = 503
    proxy.expire_watches()
    until(lambda: operator.get("/readyz")[0] == 503)
    until(lambda: "The watches ended" in operator.log.read_text())
    assert operator.get("/healthz")[0] == 200  # another start would not help
    namespace.apply(sensor("a", replicas=0, seed=5))
    proxy.refuse = 0
    until(lambda: settled(namespace, 2) == ["a"])
    until(lambda: operator.get("/readyz")[0] == 200)
    assert operator.stop() == 0


def test_it_can_be_stopped_while_the_api_server_is_in_trouble(
    operator: Operator, proxy: Proxy
) -> None:
    proxy.refuse = 404  # not tried again, unlike others
    proxy.expire_watches()
    until(lambda: "Waiting for the cluster" in operator.log.read_text())
    assert operator.stop() == 0


def test_the_probe_asks_the_api_server_each_time(
    namespace: Namespace, operator: Operator, proxy: Proxy
) -> None:
    where = f"/apis/sensorpipe.dev/v1alpha1/namespaces/{namespace.name}/sensors"
    for path in ("/healthz", "/readyz"):
        asked = len(proxy.requests)
        assert operator.get(path)[0] == 200
        assert ("GET", where) in proxy.requests[asked:]
    until(lambda: operator.metric("sensorpipe_operator_silence_seconds") > 1)


def test_nothing_is_asked_when_nothing_happens(
    namespace: Namespace, operator: Operator, proxy: Proxy
) -> None:
    namespace.apply(*(sensor(name, replicas=0) for name in ("a", "b", "c")))
    until(lambda: settled(namespace, 1) == ["a", "b", "c"])
    writes = [method for method, _ in proxy.requests if method in ("PATCH", "POST")]
    assert len(writes) == 9  # ConfigMap, Deployment and status of each
    asked = len(proxy.requests)
    operator.get("/readyz")
    operator.get("/healthz")
    assert len(proxy.requests) - asked == 2


def test_what_is_measured(namespace: Namespace, operator: Operator) -> None:
    namespace.apply(sensor("a", replicas=0))
    until(lambda: settled(namespace, 1) == ["a"])
    until(lambda: not operator.metric("sensorpipe_operator_queue"))
    for name in ("reconciles_total", "reconcile_seconds_count", "writes_total", "sensors"):
        assert operator.metric(f"sensorpipe_operator_{name}") >= 1
    text = operator.get("/metrics")[1]
    for name in ("errors", "missed"):
        assert f"# HELP sensorpipe_operator_{name}_total " in text
