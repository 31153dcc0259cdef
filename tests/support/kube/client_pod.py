"""A pod in the cluster that has passwords and waits to be told what to try with them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster_client import Cluster
from support.kube import restricted_pod

_KAFKA = (Path(__file__).parent / "kafka_attempts.py").read_text()
_LABELS = {"app": "client"}


def pod(image: str, secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return a pod of the server's image, with each Secret at /secrets/NAME."""
    volumes = {f"/secrets/{name}": {"secret": {"secretName": at}} for name, at in secrets.items()}
    made = restricted_pod.pod("client", image, "sleep 1200", volumes)
    made["metadata"]["labels"] = _LABELS
    return made


def admission() -> dict[str, Any]:
    """Return the policy that lets the pod reach all others, so that passwords alone decide."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "client"},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": _LABELS}}]}],
        },
    }


def run(cluster: Cluster, namespace: str, script: str, *arguments: str) -> Any:
    """Return the JSON that a script prints in the pod."""
    command = ["-n", namespace, "exec", "-i", "client", "--", "python", "-", *arguments]
    return json.loads(cluster.kubectl(*command, stdin=script, timeout=150))


def kafka(cluster: Cluster, namespace: str, bootstrap: str, *attempts: str) -> list[str]:
    """Return what became of attempts at Kafka, as kafka_attempts has them."""
    return list(run(cluster, namespace, _KAFKA, bootstrap, *attempts).values())
