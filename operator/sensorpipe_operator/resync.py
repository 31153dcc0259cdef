"""Lists everything: at the start, and now and then in case a watch missed a change."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from sensorpipe_operator.cluster import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    PODS,
    SENSORS,
    ClusterError,
    Resource,
)
from sensorpipe_operator.metrics import OperatorMetrics
from sensorpipe_operator.mirror import Mirror
from sensorpipe_operator.names import Body, Key
from sensorpipe_operator.work import WorkQueue

# children first: a Sensor whose children are not known yet would be applied anew
_KINDS = (
    ("Pod", PODS),
    ("ConfigMap", CONFIG_MAPS),
    ("Deployment", DEPLOYMENTS),
    ("Sensor", SENSORS),
)

log = logging.getLogger(__name__)


class Lists(Protocol):
    """Where objects are listed."""

    def list(self, resource: Resource, namespace: str | None) -> AsyncIterator[Body]:
        """Yield all objects of a resource."""


async def fill(cluster: Lists, mirror: Mirror, namespaces: Sequence[str]) -> set[Key]:
    """Bring the mirror up to date by listing; return the Sensors of which that was news."""
    changed: set[Key] = set()
    for kind, resource in _KINDS:
        bodies: list[Body] = []
        for namespace in namespaces or (None,):
            bodies += [body async for body in cluster.list(resource, namespace)]
        changed |= mirror.replace(kind, bodies)
    return changed


async def resync(
    cluster: Lists,
    mirror: Mirror,
    queue: WorkQueue,
    metrics: OperatorMetrics,
    *,
    namespaces: Sequence[str],
    every_seconds: float,
) -> None:
    """List everything again and again until cancelled."""
    while True:
        await asyncio.sleep(every_seconds)
        try:
            changed = await fill(cluster, mirror, namespaces)
        except ClusterError as error:
            log.warning("could not list", extra={"error": str(error)})
            continue
        for key in changed:
            queue.add(key)
        if changed:
            metrics.missed.inc(len(changed))
            log.info("listing found news", extra={"sensors": len(changed)})
