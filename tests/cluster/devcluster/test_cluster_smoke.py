"""The cluster that the cluster tests stand on, whichever of the three it is."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import pytest
from cluster_client import Cluster, KubectlError
from support.waiting import until

SENSOR = """\
apiVersion: sensorpipe.dev/v1alpha1
kind: Sensor
metadata: {name: boiler}
spec:
  facility: plant
  interval: 1s
  measurements: [{name: temperature, signal: {normal: {mean: 20, stdev: 1}}}]
"""


def generator(image: str) -> list[object]:
    """A generator as the restricted standard wants it; the broker it looks for is not there."""
    container = {
        "name": "generator",
        "image": image,
        "env": [
            {"name": "SENSORPIPE_SENSOR", "value": "/etc/sensorpipe/sensor.yaml"},
            {"name": "SENSORPIPE_MQTT_URL", "value": "mqtt://mosquitto:1883"},
        ],
        "ports": [{"name": "metrics", "containerPort": 9090}],
        "readinessProbe": {
            "httpGet": {"path": "/healthz", "port": "metrics"},
            "periodSeconds": 1,
        },
        "resources": {"requests": {"memory": "64Mi", "cpu": "10m"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "sensor", "mountPath": "/etc/sensorpipe"}],
    }
    pod = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "sensor", "configMap": {"name": "boiler"}}],
    }
    labels = {"app.kubernetes.io/name": "boiler"}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "boiler"},
            "data": {"sensor.yaml": SENSOR},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "boiler"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "boiler"},
            "spec": {"selector": labels, "ports": [{"name": "metrics", "port": 9090}]},
        },
    ]


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace in which one generator runs and is ready."""
    image = cluster.load_image("generator")
    with cluster.namespace() as name:
        cluster.apply(*generator(image), namespace=name)
        cluster.kubectl("rollout", "status", "deployment/boiler", "-n", name, "--timeout=60s")
        yield name


def test_the_api_server_answers(cluster: Cluster):
    assert cluster.kubectl("get", "--raw", "/readyz") == "ok"
    version = json.loads(cluster.kubectl("version", "-o", "json"))["serverVersion"]
    assert (int(version["major"]), int(version["minor"].rstrip("+"))) >= (1, 30)


def test_a_generator_runs_under_the_restricted_standard(cluster: Cluster, namespace: str):
    user = cluster.kubectl("exec", "-n", namespace, "deployment/boiler", "--", "id", "-u")
    assert user.strip() == "65532"


def test_a_pods_log_can_be_read(cluster: Cluster, namespace: str):
    log = cluster.kubectl("logs", "-n", namespace, "deployment/boiler")
    started = json.loads(log.splitlines()[0])
    assert started["message"] == "Generator started"
    assert started["facility"] == "plant"


def test_a_service_has_a_name_that_pods_resolve(cluster: Cluster, namespace: str):
    ask = "import socket; print(socket.gethostbyname('boiler'))"
    found = cluster.kubectl("exec", "-n", namespace, "deployment/boiler", "--", "python", "-c", ask)
    address = cluster.kubectl(
        "get", "service", "boiler", "-n", namespace, "-o", "jsonpath={.spec.clusterIP}"
    )
    assert found.strip() == address


def test_a_service_leads_to_its_pods(cluster: Cluster, namespace: str):
    ask = (
        "import urllib.request as web; "
        "print(web.urlopen('http://boiler:9090/healthz', timeout=10).status)"
    )
    command = ("exec", "-n", namespace, "deployment/boiler", "--", "python", "-c", ask)

    def answers() -> bool:
        # kube-proxy may not know the pod yet, although it is ready
        with suppress(KubectlError):
            return cluster.kubectl(*command).strip() == "200"
        return False

    until(answers)


def test_a_port_leads_to_a_pod_from_here(cluster: Cluster, namespace: str):
    with (
        cluster.port_forward("service/boiler", 9090, namespace) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer,
    ):
        assert b"sensorpipe_generator" in answer.read()


def test_a_pod_that_violates_the_restricted_standard_is_refused(cluster: Cluster, namespace: str):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {
            "containers": [
                {"name": "root", "image": "any", "securityContext": {"privileged": True}}
            ]
        },
    }
    with pytest.raises(KubectlError, match='violates PodSecurity "restricted'):
        cluster.apply(pod, namespace=namespace)


def test_the_api_server_comes_back_after_it_was_killed(cluster: Cluster, namespace: str):
    def answers() -> bool:
        try:
            return cluster.kubectl("get", "--raw", "/readyz", timeout=10) == "ok"
        except (KubectlError, subprocess.TimeoutExpired):
            return False

    cluster.restart_api_server()
    until(answers)
    assert "boiler" in cluster.kubectl("get", "deployments", "-n", namespace)


def test_what_a_namespace_held_goes_with_it(cluster: Cluster):
    with cluster.namespace() as name:
        cluster.kubectl("create", "configmap", "one", "-n", name)
    until(lambda: name not in cluster.kubectl("get", "namespaces"))
