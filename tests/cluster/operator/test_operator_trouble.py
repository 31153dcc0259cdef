"""Why a Sensor's pods cannot run: its Ready condition says so, within seconds."""

from pathlib import Path

from cluster_client import Cluster
from support.kube import broker_pod, operator_process
from support.kube.operator_process import Namespace, Operator, frozen
from support.kube.operator_sensors import sensor
from support.waiting import until

pytest_plugins = ["support.kube.operator_fixtures"]

WITHOUT_RESOURCES = '[{"op": "remove", "path": "/spec/resources"}]'


def test_an_image_that_cannot_be_pulled_is_named(
    cluster: Cluster, config_file: Path, tmp_path: Path, namespace: Namespace, operator: Operator
) -> None:
    settings = {"GENERATOR_IMAGE": "localhost/nosuch:1", "WATCH_NAMESPACES": namespace.name}
    with frozen(operator), operator_process.running(cluster, tmp_path, config_file, **settings):
        namespace.apply(sensor("boiler"))
        namespace.wait_reason("boiler", "ImageUnavailable", seconds=30)
        message = namespace.condition("boiler")["message"]
        assert message.startswith("Image localhost/nosuch:1 cannot be pulled: ")
        namespace.kubectl("delete", "sensor/boiler")


def test_a_crash_is_reported_with_the_generators_last_log_lines(namespace: Namespace) -> None:
    wrong = broker_pod.secret(namespace.name) | {"stringData": {"url": "http://broker:80"}}
    namespace.apply(wrong, sensor("boiler"))
    namespace.wait_reason("boiler", "Crashing")
    message = namespace.condition("boiler")["message"]
    assert "code 1: sensorpipe-generator: SENSORPIPE_MQTT_URL: must be mqtt://" in message


def test_a_missing_secret_is_named(namespace: Namespace) -> None:
    namespace.kubectl("delete", "secret/sensorpipe-broker")
    namespace.apply(sensor("boiler"))
    namespace.wait_reason("boiler", "Misconfigured")
    assert 'secret "sensorpipe-broker" not found' in namespace.condition("boiler")["message"]
    namespace.kubectl("wait", "--for=condition=Accepted", "sensor/boiler", "--timeout=5s")
    assert "Misconfigured" in namespace.kubectl("get", "events")


def test_a_broker_that_is_not_there_is_named(namespace: Namespace) -> None:
    namespace.apply(sensor("boiler"))
    namespace.wait_reason("boiler", "NotConnected")


def test_a_quota_is_named(namespace: Namespace) -> None:
    namespace.kubectl("create", "quota", "few", "--hard=pods=0")
    until(lambda: "pods" in namespace.get("quota/few").get("status", {}).get("hard", {}))
    namespace.apply(sensor("boiler"))
    namespace.wait_reason("boiler", "QuotaExceeded")
    assert "exceeded quota: few" in namespace.condition("boiler")["message"]


def test_pods_that_the_namespace_refuses_are_reported(namespace: Namespace) -> None:
    limits = [{"type": "Container", "max": {"memory": "64Mi"}}]
    metadata = {"name": "small"}
    kind = {"apiVersion": "v1", "kind": "LimitRange"}
    namespace.apply({**kind, "metadata": metadata, "spec": {"limits": limits}})
    namespace.apply(sensor("boiler"))
    namespace.wait_reason("boiler", "PodsRefused")
    assert "maximum memory usage" in namespace.condition("boiler")["message"]


def test_a_deployment_of_somebody_else_is_left_alone(namespace: Namespace) -> None:
    namespace.kubectl("create", "deployment", "boiler", "--image=theirs:1", "--replicas=0")
    namespace.apply(sensor("boiler"))
    namespace.wait_reason("boiler", "NameTaken")
    owners = namespace.get("deploy/boiler")["metadata"].get("ownerReferences", [])
    assert owners == []


def test_a_generator_that_no_node_has_room_for(namespace: Namespace) -> None:
    cores = {"cpu": 1000}
    namespace.apply(sensor("boiler", resources={"requests": cores, "limits": cores}))
    namespace.wait_reason("boiler", "Unschedulable")
    assert "Insufficient cpu" in namespace.condition("boiler")["message"]


def test_a_generator_that_needs_more_memory_than_it_may_have(namespace: Namespace) -> None:
    namespace.apply(sensor("boiler", resources={"limits": {"memory": "16Mi"}}))
    namespace.wait_reason("boiler", "OutOfMemory")
    namespace.kubectl("patch", "sensor/boiler", "--type=json", "-p", WITHOUT_RESOURCES)
    namespace.wait_reason("boiler", "NotConnected")  # there is no broker, but it runs
