"""Lists everything: at the start, when a watch begins anew, and now and then."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

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

_RETRY_SECONDS: Final = 10.0
_SETTLE_SECONDS: Final = 1.0
"""The watches often begin anew together."""

log = logging.getLogger(__name__)


class Lists(Protocol):
    """Where objects are listed."""

    async def list(self, resource: Resource, namespace: str | None) -> tuple[list[Body], int]:
        """Return all objects of a resource, and the version the list was taken at."""


async def fill(cluster: Lists, mirror: Mirror, queue: WorkQueue, namespaces: Sequence[str]) -> int:
    """Bring the mirror up to date by listing; return of how many Sensors that was news."""
    changed: set[Key] = set()
    for kind, resource in _KINDS:
        lists = [await cluster.list(resource, where) for where in namespaces or (None,)]
        bodies = [body for listed, _ in lists for body in listed]
        news = mirror.replace(kind, bodies, min(version for _, version in lists))
        for key in news:
            queue.add(key)
        changed |= news
    return len(changed)


async def resync(
    cluster: Lists,
    mirror: Mirror,
    queue: WorkQueue,
    metrics: OperatorMetrics,
    *,
    namespaces: Sequence[str],
    every_seconds: float,
    asked: asyncio.Event,
) -> None:
    """List everything whenever asked to, and else now and then, until cancelled."""
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(every_seconds):
                await asked.wait()
                await asyncio.sleep(_SETTLE_SECONDS)
        asked.clear()
        try:
            changed = await fill(cluster, mirror, queue, namespaces)
        except ClusterError as error:
            log.warning("could not list, will be tried again", extra={"error": str(error)})
        except Exception:  # an answer that is none, of a proxy perhaps; without lists it is deaf
            log.exception("could not list, will be tried again")
        else:
            metrics.listed(changed)
            if changed:
                log.info("listing found news", extra={"sensors": changed})
            continue
        await asyncio.sleep(_RETRY_SECONDS)
        asked.set()
