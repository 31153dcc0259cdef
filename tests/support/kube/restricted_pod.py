"""A pod as the restricted standard wants it, of a user that no image knows."""

from collections.abc import Mapping
from typing import Any


def pod(
    name: str, image: str, script: str, volumes: Mapping[str, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return a pod that runs a script once, with volumes by the folders that they are at."""
    sources = list((volumes or {}).values())
    mounts = list(volumes or {})
    container = {
        "name": name,
        "image": image,
        "command": ["sh", "-c", script],
        # a limit without a request would request as much: a whole core, which a small node lacks
        "resources": {
            "requests": {"cpu": "10m", "memory": "64Mi"},
            "limits": {"cpu": "1", "memory": "256Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": f"volume-{number}", "mountPath": path} for number, path in enumerate(mounts)
        ],
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10777,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": f"volume-{number}", **source} for number, source in enumerate(sources)
        ],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
