"""A pod in the cluster that has passwords and waits to be told what to try with them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster_client import Cluster

_KAFKA = (Path(__file__).parent / "kafka_asker.py").read_text()


def pod(image: str, secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return a pod of the server's image, with each Secret at /secrets/NAME."""
    container = {
        "name": "asker",
        "image": image,
        "command": ["sleep", "1200"],
        "resources": {"limits": {"cpu": "1", "memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": name, "mountPath": f"/secrets/{name}"} for name in secrets],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "asker"},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [
                {"name": name, "secret": {"secretName": secret}} for name, secret in secrets.items()
            ],
        },
    }


def run(cluster: Cluster, namespace: str, script: str, *arguments: str) -> Any:
    """Return the JSON that a script prints in the pod."""
    command = ["-n", namespace, "exec", "-i", "asker", "--", "python", "-", *arguments]
    return json.loads(cluster.kubectl(*command, stdin=script, timeout=150))


def kafka(cluster: Cluster, namespace: str, bootstrap: str, *attempts: str) -> list[str]:
    """Return what became of attempts at Kafka, as kafka_asker has them."""
    return list(run(cluster, namespace, _KAFKA, bootstrap, *attempts).values())
