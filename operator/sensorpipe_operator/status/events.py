"""Kubernetes Events about Sensors that fail and recover."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from sensorpipe_schema.sensor import API_VERSION, KIND

from sensorpipe_operator.names import MANAGER, Body

_ROUTINE: Final = frozenset(
    (
        "Pending",
        "Accepted",
        "Running",
        "Starting",
        "Stopping",
        "Suspended",
        "ScaledToZero",
        "NotAccepted",
    )
)
"""Reasons of conditions that are intended or temporary, and cause no warning."""


def events_for(
    sensor: Body, old: Mapping[str, Any], new: Mapping[str, Any], now: datetime
) -> Iterator[Body]:
    """Yield the Events due when a Sensor's status changes from `old` to `new`.

    A Warning for each condition whose new reason is a fault, and a Normal one when the
    generators run again after a fault.
    """
    before = {c["type"]: c["reason"] for c in old.get("conditions", [])}
    for condition in new["conditions"]:
        kind, reason = condition["type"], condition["reason"]
        if before.get(kind) == reason:
            continue
        if reason not in _ROUTINE:
            yield _event(sensor, "Warning", condition, now)
        elif reason == "Running" and before.get(kind) not in (None, "Pending", "Starting"):
            yield _event(sensor, "Normal", condition, now)


def _event(sensor: Body, kind: str, condition: Body, now: datetime) -> Body:
    metadata = sensor["metadata"]
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f"{metadata['uid']} {condition['reason']} {now.isoformat()}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{hashlib.sha256(text.encode()).hexdigest()[:16]}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "type": kind,
        "reason": condition["reason"],
        "message": condition["message"],
        "source": {"component": MANAGER},
        "reportingComponent": MANAGER,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
