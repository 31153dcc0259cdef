"""How far a Deployment's controller and the kubelet have come."""

from typing import Any

from sensorpipe_operator.names import DESIRED_ANNOTATION, Body


def ready_pods(deployment: Body) -> int:
    """Return how many pods of a Deployment are ready."""
    ready: int = deployment.get("status", {}).get("readyReplicas", 0)
    return ready


def is_rolled_out(deployment: Body) -> bool:
    """Whether the Deployment's controller has seen it, and no former pod is left."""
    state = deployment.get("status", {})
    seen = state.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return bool(seen and state.get("updatedReplicas", 0) == state.get("replicas", 0))


def replica_failure(deployment: Body) -> str | None:
    """Return why the cluster takes no pod of a Deployment; None if it does."""
    conditions = deployment.get("status", {}).get("conditions", [])
    failure = next((c for c in conditions if c["type"] == "ReplicaFailure"), None)
    if failure is None or failure["status"] != "True":
        return None
    return str(failure.get("message", ""))


def gist(deployment: Body) -> tuple[Any, ...]:
    """Return all of a Deployment that matters to its Sensor.

    Its controller writes a Deployment several times for each change of it; most of that says
    nothing, and looking at the Sensor each time was a third of the operator's work.
    """
    metadata = deployment["metadata"]
    return (
        metadata.get("generation"),
        metadata.get("labels"),
        metadata.get("annotations", {}).get(DESIRED_ANNOTATION),
        metadata.get("ownerReferences"),
        metadata.get("deletionTimestamp"),
        ready := ready_pods(deployment),
        ready and is_rolled_out(deployment),
        replica_failure(deployment),
    )
