"""Reads the rollout state of a Deployment."""

from typing import Any

from sensorpipe_operator.names import DESIRED_ANNOTATION, Body


def ready_pods(deployment: Body) -> int:
    """Return the number of ready pods of a Deployment."""
    ready: int = deployment.get("status", {}).get("readyReplicas", 0)
    return ready


def is_rolled_out(deployment: Body) -> bool:
    """Whether the controller has seen the Deployment's newest version and no old pod is left."""
    state = deployment.get("status", {})
    observed = state.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return bool(observed and state.get("updatedReplicas", 0) == state.get("replicas", 0))


def replica_failure(deployment: Body) -> str | None:
    """Return why no pod of a Deployment can be created; None if they can."""
    conditions = deployment.get("status", {}).get("conditions", [])
    failure = next((c for c in conditions if c["type"] == "ReplicaFailure"), None)
    if failure is None or failure["status"] != "True":
        return None
    return str(failure.get("message", ""))


def relevant_fields(deployment: Body) -> tuple[Any, ...]:
    """Return the fields of a Deployment on which its Sensor's children and status depend.

    The Deployment controller updates a Deployment several times for each change, mostly in
    other fields; reconciling the Sensor each time was a third of the operator's work.
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
