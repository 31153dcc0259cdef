"""Leaves of an object what the operator reads: pure.

Most of what the API server hands out is never read: who manages which field, the status of a
Deployment's rollout in words, and all that a pod is made of. Kept whole, the objects of one Sensor
took 50 to 60 KB.
"""

from collections.abc import Callable, Collection
from typing import Any, Final

from sensorpipe_schema.sensor import API_VERSION

from sensorpipe_operator.names import Body, Kind

_API_VERSIONS: Final = {
    Kind.POD: "v1",
    Kind.CONFIG_MAP: "v1",
    Kind.DEPLOYMENT: "apps/v1",
    Kind.SENSOR: API_VERSION,
    Kind.FEED: API_VERSION,
}
_UNREAD_METADATA: Final = frozenset(("managedFields", "selfLink"))
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_DEPLOYMENT_STATUS: Final = ("observedGeneration", "replicas", "updatedReplicas", "readyReplicas")
_POD_STATUS: Final = ("phase", "reason", "message")
_POD_CONDITIONS: Final = frozenset(("ContainersReady", "Ready", "PodScheduled"))
_CONTAINER: Final = ("ready", "image", "state", "lastState")
_CONDITION: Final = ("type", "status", "reason", "message")


def slim(kind: Kind, body: Body) -> Body:
    """Return an object of a kind with what is read of it, and with its kind, which lists omit."""
    rest = _REST.get(kind, _all_but_metadata)(body)
    names = {"apiVersion": _API_VERSIONS[kind], "kind": str(kind)}
    return {**rest, **names, "metadata": _metadata(body["metadata"])}


def _metadata(metadata: Body) -> Body:
    kept = {name: value for name, value in metadata.items() if name not in _UNREAD_METADATA}
    annotations = kept.get("annotations")
    if annotations and _LAST_APPLIED in annotations:
        kept["annotations"] = {k: v for k, v in annotations.items() if k != _LAST_APPLIED}
    return kept


def _all_but_metadata(body: Body) -> Body:
    return {name: value for name, value in body.items() if name != "metadata"}


def _deployment(body: Body) -> Body:
    status = body.get("status", {})
    kept = _chosen(status, _DEPLOYMENT_STATUS)
    if failures := _conditions(status, frozenset(("ReplicaFailure",))):
        kept["conditions"] = failures
    return {"spec": body.get("spec", {}), "status": kept}


def _pod(body: Body) -> Body:
    status = body.get("status", {})
    kept = _chosen(status, _POD_STATUS)
    if conditions := _conditions(status, _POD_CONDITIONS):
        kept["conditions"] = conditions
    if containers := status.get("containerStatuses"):
        kept["containerStatuses"] = [_chosen(each, _CONTAINER) for each in containers]
    return {"spec": _chosen(body.get("spec", {}), ("nodeName",)), "status": kept}


def _conditions(status: Body, types: Collection[str]) -> list[Body]:
    found = status.get("conditions") or []
    return [_chosen(each, _CONDITION) for each in found if each.get("type") in types]


def _chosen(values: Body, names: Collection[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


_REST: Final[dict[Kind, Callable[[Body], Body]]] = {
    Kind.DEPLOYMENT: _deployment,
    Kind.POD: _pod,
}
