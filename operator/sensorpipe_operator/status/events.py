"""Kubernetes Events about Sensors and Feeds that fail and recover."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from sensorpipe_schema.sensor import API_VERSION

from sensorpipe_operator.names import MANAGER, Body, Kind

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
        "Loading",
        "Subscribed",
        "NotConnected",
        "CompactorUnreachable",
    )
)
"""Reasons of conditions that are intended or temporary, and cause no warning."""

_WELL: Final = frozenset(("Running", "Subscribed"))
"""Reasons of conditions that are as they should be."""


def events_for(
    body: Body, old: Mapping[str, Any], new: Mapping[str, Any], now: datetime, kind: Kind
) -> Iterator[Body]:
    """Yield the Events due when the status of an object of a kind changes from `old` to `new`.

    A Warning for each condition whose new reason is a fault, and a Normal one when all is well
    again after a fault.
    """
    before = {c["type"]: c["reason"] for c in old.get("conditions", [])}
    for condition in new["conditions"]:
        former, reason = before.get(condition["type"]), condition["reason"]
        if former == reason:
            continue
        if reason not in _ROUTINE:
            yield _event(body, kind, "Warning", condition, now)
        elif reason in _WELL and former not in (None, "Pending", "Starting", "Loading"):
            yield _event(body, kind, "Normal", condition, now)


def left_alone(body: Body, other: str, now: datetime) -> Body:
    """Return the Event about a Sensor that the operator of another release keeps."""
    message = f"The operator of {other} keeps this Sensor; another one leaves it alone"
    return _event(body, Kind.SENSOR, "Normal", {"reason": "OtherOperator", "message": message}, now)


def _event(body: Body, kind: Kind, severity: str, condition: Body, now: datetime) -> Body:
    metadata = body["metadata"]
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
            "kind": str(kind),
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "type": severity,
        "reason": condition["reason"],
        "message": condition["message"],
        "source": {"component": MANAGER},
        "reportingComponent": MANAGER,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
