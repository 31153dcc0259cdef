"""`sensorpipe-operator`: turns Sensors into generators until SIGTERM."""

import asyncio
import logging
import os
from datetime import UTC, datetime
from functools import partial

import uvloop
from prometheus_client import REGISTRY
from sensorpipe_schema import logs
from sensorpipe_schema.observe import Observatory
from sensorpipe_schema.settings import naming_what_is_wrong

from sensorpipe_operator import resync
from sensorpipe_operator.cluster import Cluster, ClusterError
from sensorpipe_operator.health import Health
from sensorpipe_operator.lasting import while_lasting
from sensorpipe_operator.listening import listen
from sensorpipe_operator.metrics import OperatorMetrics
from sensorpipe_operator.mirror import Mirror
from sensorpipe_operator.reconcile import Reconciler
from sensorpipe_operator.settings import Settings
from sensorpipe_operator.watching import Watching
from sensorpipe_operator.work import WorkQueue

_RETRY_SECONDS = 2.0

log = logging.getLogger("sensorpipe_operator")


def main() -> None:
    """Run the operator; exit 0 after SIGTERM or SIGINT."""
    with naming_what_is_wrong("sensorpipe-operator"):
        settings = Settings.read(os.environ)
        logs.setup("sensorpipe-operator", settings.log_level)
        logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLogger().level))
        uvloop.run(run(settings))


async def run(settings: Settings) -> None:
    """Watch and work until told to stop."""
    mirror, queue, metrics = Mirror(), WorkQueue(), OperatorMetrics(REGISTRY)
    watching = Watching(mirror, queue)
    _measure(metrics, mirror, queue, watching, settings)
    async with Cluster.connect(settings.workers + 2) as cluster:
        health = Health(
            cluster, mirror, settings.namespaces, silence=lambda: watching.silence_seconds
        )
        reconciler = Reconciler(
            cluster,
            mirror,
            queue,
            settings=settings.generator,
            metrics=metrics,
            clock=lambda: datetime.now(UTC),
        )
        with Observatory(*settings.http, healthy=health.alive, ready=health.ready):
            workers = [
                asyncio.create_task(queue.work(reconciler.reconcile), name=f"worker {i}")
                for i in range(settings.workers)
            ]
            listing = resync.resync(
                cluster,
                mirror,
                queue,
                metrics,
                namespaces=settings.namespaces,
                every_seconds=settings.resync_ms / 1000,
                asked=watching.began_anew,
            )
            lister = asyncio.create_task(listing, name="resync")
            first = partial(_first_list, cluster, mirror, queue, settings)
            listening = listen(watching, settings.namespaces, first)
            await while_lasting(listening, [*workers, lister])
    log.info("operator stopped")


def _measure(
    metrics: OperatorMetrics,
    mirror: Mirror,
    queue: WorkQueue,
    watching: Watching,
    settings: Settings,
) -> None:
    """Have what is known told to whoever scrapes."""
    metrics.watch("queue", "Sensors that wait to be looked at.", lambda: len(queue))
    resync_seconds = settings.resync_ms / 1000
    metrics.watch("resync_seconds", "Between two lists, at most.", lambda: resync_seconds)
    metrics.watch("sensors", "Sensors that are known.", lambda: mirror.count("Sensor"))
    metrics.watch(
        "silence_seconds", "Since a watch told anything.", lambda: watching.silence_seconds
    )


async def _first_list(
    cluster: Cluster, mirror: Mirror, queue: WorkQueue, settings: Settings
) -> None:
    """Learn what is there; wait for an API server, and for the definition of Sensors."""
    while True:
        try:
            await resync.fill(cluster, mirror, queue, settings.namespaces)
        except ClusterError as error:
            log.warning("waiting for the cluster", extra={"error": str(error)})
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        fields = {"sensors": mirror.count("Sensor"), "namespaces": settings.namespaces or "all"}
        log.info("operator started", extra=fields)
        return


if __name__ == "__main__":
    main()
