"""Computes a Sensor's status from its spec, Deployments and pods."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sensorpipe_schema.sensor import Sensor, SensorError

from sensorpipe_operator.names import Body, selector
from sensorpipe_operator.status.conditions import Verdict, condition
from sensorpipe_operator.status.diagnosis import diagnose
from sensorpipe_operator.status.progress import is_rolled_out, ready_pods

ACCEPTED = Verdict("Accepted", "The Sensor is valid", holds=True)


def invalid(error: SensorError) -> Verdict:
    """Return the verdict on a Sensor that the API server accepted although it is invalid."""
    return Verdict("Invalid", "; ".join(map(str, error.problems)))


def readiness(
    sensor: Sensor, deployments: Sequence[Body], pods: Sequence[Body], now: datetime
) -> Verdict:
    """Return whether every generator is connected to the broker, and if not, why."""
    wanted = sensor.spec.replicas
    if not sensor.spec.runs and _ready(deployments):
        return Verdict("Stopping", "Waiting for the generators to terminate")
    if sensor.spec.suspend:
        return Verdict("Suspended", "Stopped by spec.suspend")
    if not wanted:
        return Verdict("ScaledToZero", "Stopped by spec.replicas: 0")
    current = len(deployments) == wanted and all(map(is_rolled_out, deployments))
    if current and _ready(deployments) == wanted:
        some = "The generator is" if wanted == 1 else f"All {wanted} generators are"
        return Verdict("Running", f"{some} connected to the broker", holds=True)
    some = "the generator" if wanted == 1 else f"{wanted} generators"
    return diagnose(deployments, pods, now) or Verdict("Starting", f"Waiting for {some}")


def build_status(
    body: Body,
    sensor: Sensor | None,
    deployments: Sequence[Body],
    *,
    accepted: Verdict,
    ready: Verdict,
    now: datetime,
) -> dict[str, Any]:
    """Return the operator's fields of a Sensor's status.

    A Sensor that is not accepted (`sensor` is None) keeps the numbers of its old status.
    """
    metadata = body["metadata"]
    generation: int = metadata["generation"]
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    old = body.get("status", {})
    old_conditions = old.get("conditions", [])
    conditions = [
        condition(old_conditions, kind, verdict, generation=generation, now=at)
        for kind, verdict in (("Accepted", accepted), ("Ready", ready))
    ]
    numbers = {name: old.get(name, 0) for name in ("replicas", "devices", "readingsPerSecond")}
    if sensor:
        spec, runs = sensor.spec, sensor.spec.runs
        numbers = {
            "replicas": spec.replicas if runs else 0,
            "devices": spec.count if runs else 0,
            "readingsPerSecond": _round(spec.readings_per_second) if runs else 0,
        }
    return {
        "observedGeneration": generation,
        "readyReplicas": _ready(deployments),
        "selector": selector(metadata["name"]),
        **numbers,
        "conditions": conditions,
    }


def is_same(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether `old` has all that `new` has; its other conditions and their order are ignored."""
    old_conditions = {each["type"]: each for each in old.get("conditions", [])}
    conditions = {each["type"]: each for each in new["conditions"]}
    rest = {name: old.get(name) for name in new if name != "conditions"}
    return {**new, "conditions": conditions} == {
        **rest,
        "conditions": {kind: old_conditions.get(kind) for kind in conditions},
    }


def _ready(deployments: Sequence[Body]) -> int:
    return sum(map(ready_pods, deployments))


def _round(number: float) -> float | int:
    """Return a number with three decimals, or as an int if it is one."""
    rounded = round(number, 3)
    return int(rounded) if rounded == int(rounded) else rounded
