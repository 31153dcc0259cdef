"""Determines from pods and Deployments why a Sensor's generators do not run."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sensorpipe_operator.names import Body
from sensorpipe_operator.status.conditions import Verdict
from sensorpipe_operator.status.progress import replica_failure

_IMAGE: Final = frozenset(
    (
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
    )
)
"""Reasons for which a container waits because its image is unavailable."""
_MISCONFIGURED: Final = frozenset(
    ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
)
"""Reasons for which a container waits because it cannot be created or started."""

REPORT_AFTER_SECONDS: Final = 10
"""Seconds a generator may take to connect, or to terminate, before the status reports it."""


def diagnose(deployments: Iterable[Body], pods: Iterable[Body], now: datetime) -> Verdict | None:
    """Return the first known reason why the generators do not run; None if there is none."""
    found = [_of_deployment(body) for body in deployments]
    found += [_of_pod(body, now) for body in pods]
    return next((verdict for verdict in found if verdict), None)


def _of_deployment(deployment: Body) -> Verdict | None:
    text = replica_failure(deployment)
    if text is None:
        return None
    if "exceeded quota" in text:
        return Verdict("QuotaExceeded", "A quota of the namespace does not allow the pods", text)
    return Verdict("PodsRefused", "The API server rejects the pods", text)


def _of_pod(pod: Body, now: datetime) -> Verdict | None:
    status = pod.get("status", {})
    if due := pod["metadata"].get("deletionTimestamp"):
        return _of_terminating(pod) if _age_seconds(due, now) >= REPORT_AFTER_SECONDS else None
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    if _holds(conditions, "ContainersReady") and not _holds(conditions, "Ready"):
        # the kubelet sets both; the node controller resets Ready alone when a node is unreachable
        return Verdict("NodeLost", "The node of a generator does not respond", _place(pod))
    for container in status.get("containerStatuses", []):
        if not container.get("ready") and (verdict := _of_container(pod, container, now)):
            return verdict
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("reason") == "Unschedulable":
        detail = str(scheduled.get("message", ""))
        return Verdict("Unschedulable", "A generator cannot be scheduled on any node", detail)
    if status.get("phase") == "Failed":
        detail = ": ".join(filter(None, (status.get("reason"), status.get("message"))))
        return Verdict("PodFailed", "A generator pod failed", detail)
    return None


def _of_terminating(pod: Body) -> Verdict:
    """Report an old pod that keeps the new ones from starting: it may still publish."""
    text = "An old pod does not terminate; if its node is permanently lost, force-delete the pod"
    return Verdict("PodNotEnding", text, _place(pod))


def _holds(conditions: Mapping[str, Body], kind: str) -> bool:
    return bool(conditions.get(kind, {}).get("status") == "True")


def _place(pod: Body) -> str:
    node = pod.get("spec", {}).get("nodeName", "no node")
    return f"pod {pod['metadata']['name']} on {node}"


def _of_container(pod: Body, container: dict[str, Any], now: datetime) -> Verdict | None:
    state = container.get("state", {})
    waiting = state.get("waiting", {})
    reason, text = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    if reason in _IMAGE:
        image = container.get("image")
        return Verdict("ImageUnavailable", f"Image {image} cannot be pulled", text)
    if reason in _MISCONFIGURED:
        return Verdict("Misconfigured", "A generator cannot be started", text)
    terminated = state.get("terminated") or container.get("lastState", {}).get("terminated")
    if terminated and terminated.get("exitCode"):
        return _crash(terminated)
    running = state.get("running")
    if running and _age_seconds(running["startedAt"], now) >= REPORT_AFTER_SECONDS:
        text = "A generator is not connected to the broker; its log says why"
        return Verdict("NotConnected", text, _place(pod))
    return None


def _crash(terminated: dict[str, Any]) -> Verdict:
    if terminated.get("reason") == "OOMKilled":
        return Verdict("OutOfMemory", "A generator needs more memory than its limit")
    output = str(terminated.get("message", "")).strip()
    head = f"A generator exited with code {terminated['exitCode']}"
    return Verdict("Crashing", head, output[-600:])


def _age_seconds(time: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(time)).total_seconds()
