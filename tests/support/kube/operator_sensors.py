"""Sensors for the operator's tests on a cluster."""

from typing import Any

from sensorpipe_schema.sensor import API_VERSION
from support.kube.operator_process import Namespace


def sensor(name: str, **spec: Any) -> dict[str, Any]:
    """Return a Sensor with one measurement, so that its facility has one topic."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Sensor",
        "metadata": {"name": name},
        "spec": {
            "facility": name,
            "interval": "500ms",
            "measurements": [{"name": "level", "signal": {"normal": {"mean": 1, "stdev": 1}}}],
            **spec,
        },
    }


def settled(namespace: Namespace, generation: int) -> list[str]:
    """Return the Sensors whose status speaks of this generation."""
    return sorted(
        item["metadata"]["name"]
        for item in namespace.get("sensors")["items"]
        if item.get("status", {}).get("observedGeneration") == generation
    )
