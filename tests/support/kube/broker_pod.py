"""Mosquitto as a pod."""

from cluster_client import Cluster
from support.kube import part_images
from support.services import MOSQUITTO_TUNED

_PORT = 1883
_CONFIG = f"listener {_PORT} 0.0.0.0\nallow_anonymous true\n{MOSQUITTO_TUNED}"


def start(cluster: Cluster, namespace: str) -> None:
    """Run a broker at mqtt://mosquitto.NAMESPACE:1883, and the Secret that tells generators so."""
    cluster.apply(*_objects(part_images.load(cluster, "mosquitto"), namespace), namespace=namespace)
    wait = ["rollout", "status", "deployment/mosquitto", "--timeout=60s"]
    cluster.kubectl("-n", namespace, *wait)


def secret(namespace: str) -> dict[str, object]:
    """Return the Secret that leads generators to the broker of a namespace."""
    url = f"mqtt://mosquitto.{namespace}.svc.cluster.local:{_PORT}"
    metadata = {"name": "sensorpipe-broker"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"url": url}}


def _objects(image: str, namespace: str) -> list[dict[str, object]]:
    labels = {"app": "mosquitto"}
    container = {
        "name": "mosquitto",
        "image": image,
        "command": ["mosquitto", "-c", "/etc/mosquitto/mosquitto.conf"],
        "ports": [{"containerPort": _PORT}],
        "readinessProbe": {"tcpSocket": {"port": _PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/mosquitto"}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "mosquitto"}}],
    }
    named = {"metadata": {"name": "mosquitto"}}
    return [
        secret(namespace),
        {"apiVersion": "v1", "kind": "ConfigMap", **named, "data": {"mosquitto.conf": _CONFIG}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            **named,
            "spec": {"selector": labels, "ports": [{"port": _PORT}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            **named,
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]
