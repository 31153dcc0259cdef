"""`sensorpipe-operator`: runs generators for Sensors until SIGTERM."""

import asyncio
import logging
from datetime import UTC, datetime
from functools import partial

from prometheus_client import REGISTRY
from sensorpipe_runtime.monitoring_server import MonitoringServer
from sensorpipe_runtime.service import configured, run_service, supervise

from sensorpipe_operator.cache import Cache, EventSink, Namespaces
from sensorpipe_operator.cluster_keys.keeper import ClusterKeysKeeper
from sensorpipe_operator.feeds.keeper import FeedKeeper
from sensorpipe_operator.health import Health
from sensorpipe_operator.kube_api import KubeApi
from sensorpipe_operator.metrics import OperatorMetrics
from sensorpipe_operator.reconcile.reconciler import Reconciler
from sensorpipe_operator.settings import Settings
from sensorpipe_operator.watch import resync
from sensorpipe_operator.watch.run_kopf import run_kopf
from sensorpipe_operator.workqueue import WorkQueue

log = logging.getLogger("sensorpipe_operator")


def main() -> None:
    """Run the operator; exit 0 after SIGTERM or SIGINT."""
    with configured("sensorpipe-operator", Settings.read) as settings:
        logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLogger().level))
        run_service(partial(run, settings))


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Watch and reconcile until SIGTERM or SIGINT."""
    cache, queue, metrics = Cache(), WorkQueue(), OperatorMetrics(REGISTRY)
    namespaces = Namespaces(settings.namespaces)
    sink = EventSink(cache, queue)
    _add_gauges(
        metrics, cache=cache, queue=queue, sink=sink, namespaces=namespaces, settings=settings
    )
    async with KubeApi.connect(settings.workers + 12) as api:
        health = Health(api, cache, namespaces, silence=lambda: sink.silence_seconds)
        reconciler = Reconciler(
            api,
            cache,
            queue,
            settings=settings.generator,
            metrics=metrics,
            clock=lambda: datetime.now(UTC),
        )
        list_first = partial(resync.fill, api, cache, queue, namespaces)
        with MonitoringServer(
            *settings.http, healthy=partial(_alive, queue, health), ready=health.ready
        ):
            background = {
                f"worker {number}": queue.run_worker(reconciler.reconcile)
                for number in range(settings.workers)
            }
            background["resync"] = resync.resync(
                api,
                cache,
                queue,
                metrics,
                namespaces=namespaces,
                every_seconds=settings.resync_ms / 1000,
                requested=sink.list_needed,
            )
            if settings.feeds.config_map is not None:
                background["feeds"] = _keeper(api, cache, namespaces, settings, metrics).run()
            if settings.cluster_issuer.issuer_map is not None:
                background["cluster keys"] = _cluster_keys(api, settings, metrics).run()
            background["retry"] = resync.retry_refused(api, cache, queue, namespaces)
            watches = run_kopf(sink, namespaces, list_first, stop)
            # the watches end only after a signal, nothing else does
            await supervise({"watches": watches}, background, may_end=lambda: True)
    log.info("Operator stopped")


def _keeper(
    api: KubeApi,
    cache: Cache,
    namespaces: Namespaces,
    settings: Settings,
    metrics: OperatorMetrics,
) -> FeedKeeper:
    """Return what keeps the compactor's Feeds, with its gauges."""
    keeper = FeedKeeper(
        api,
        cache,
        namespaces,
        settings=settings.feeds,
        metrics=metrics,
        clock=lambda: datetime.now(UTC),
    )
    _add_feed_gauges(metrics, keeper)
    return keeper


def _cluster_keys(api: KubeApi, settings: Settings, metrics: OperatorMetrics) -> ClusterKeysKeeper:
    """Return what keeps the keys of the cluster's tokens, with its gauge."""
    keeper = ClusterKeysKeeper(
        api,
        settings=settings.cluster_issuer,
        every_seconds=settings.resync_ms / 1000,
        metrics=metrics,
    )
    _add_cluster_keys_gauge(metrics, keeper)
    return keeper


def _add_cluster_keys_gauge(metrics: OperatorMetrics, keeper: ClusterKeysKeeper) -> None:
    """Add the gauge of what the keeper of the cluster's keys knows."""
    metrics.add_gauge(
        "cluster_keys_age_seconds",
        "Seconds since issuer and keys of the cluster's tokens were last up to date in their "
        "ConfigMap, or since the start.",
        lambda: keeper.age_seconds,
    )


def _add_feed_gauges(metrics: OperatorMetrics, keeper: FeedKeeper) -> None:
    """Add the gauges of what the keeper of the Feeds knows."""
    metrics.add_gauge(
        "feeds_refused", "Feeds in the cache that are not accepted.", lambda: keeper.refused
    )
    metrics.add_gauge(
        "feeds_behind",
        "1 while the compactor does not have all Feeds yet, else 0.",
        lambda: keeper.is_behind,
    )


def _add_gauges(
    metrics: OperatorMetrics,
    *,
    cache: Cache,
    queue: WorkQueue,
    sink: EventSink,
    namespaces: Namespaces,
    settings: Settings,
) -> None:
    """Add the gauges of what the operator's parts know."""
    metrics.add_gauge("queue", "Sensors waiting to be reconciled.", lambda: len(queue))
    metrics.add_gauge("sensors", "Sensors in the cache.", lambda: len(cache.sensors()))
    metrics.add_gauge("feeds", "Feeds in the cache.", lambda: len(cache.feeds()))
    metrics.add_gauge(
        "refused_namespaces",
        "Configured namespaces to which the API server refuses access.",
        lambda: len(namespaces.refused),
    )
    metrics.add_gauge(
        "resync_seconds",
        "Longest time between two lists of all objects, in seconds.",
        lambda: settings.resync_ms / 1000,
    )
    metrics.add_gauge(
        "silence_seconds", "Seconds since the last watch event.", lambda: sink.silence_seconds
    )


def _alive(queue: WorkQueue, health: Health) -> bool | str:
    """Whether the operator makes progress and its cache is current; called from another thread."""
    if not queue.progress.is_made():
        text = "Sensors are waiting, but no reconciliation started or ended for a minute"
        log.error(text, extra={"waiting": len(queue)})
        return text
    return health.alive()


if __name__ == "__main__":
    main()
