"""A Sensor's status, computed from what is there."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sensorpipe_schema.sensor import Sensor, SensorError

from sensorpipe_operator.conditions import Verdict, with_condition
from sensorpipe_operator.diagnosis import diagnose
from sensorpipe_operator.names import Body, selector
from sensorpipe_operator.progress import is_rolled_out, ready_pods

ACCEPTED = Verdict("Accepted", "The Sensor is sound", holds=True)


def refused(error: SensorError) -> Verdict:
    """Say what is wrong with a Sensor that the API server let pass."""
    return Verdict("Invalid", "; ".join(map(str, error.problems)))


def readiness(
    sensor: Sensor, deployments: Sequence[Body], pods: Sequence[Body], now: datetime
) -> Verdict:
    """Say whether every generator runs, and if not, why."""
    wanted = sensor.spec.replicas
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


def status(
    body: Body,
    sensor: Sensor | None,
    deployments: Sequence[Body],
    *,
    accepted: Verdict,
    ready: Verdict,
    now: datetime,
) -> dict[str, Any]:
    """Return the whole status of a Sensor; that of one not accepted keeps its numbers."""
    metadata = body["metadata"]
    generation: int = metadata["generation"]
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    former = body.get("status", {})
    conditions: list[Body] = former.get("conditions", [])
    for kind, verdict in (("Accepted", accepted), ("Ready", ready)):
        conditions = with_condition(conditions, kind, verdict, generation=generation, now=at)
    numbers = {name: former.get(name, 0) for name in ("replicas", "devices", "readingsPerSecond")}
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


def _ready(deployments: Sequence[Body]) -> int:
    return sum(map(ready_pods, deployments))


def _round(number: float) -> float | int:
    """Return three decimals, and a whole number as one."""
    rounded = round(number, 3)
    return int(rounded) if rounded == int(rounded) else rounded
