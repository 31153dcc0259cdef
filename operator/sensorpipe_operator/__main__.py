"""`sensorpipe-operator`: runs generators for Sensors until SIGTERM."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from prometheus_client import REGISTRY
from sensorpipe_runtime.monitoring_server import MonitoringServer
from sensorpipe_runtime.service import Work, configured, run_service, supervise

from sensorpipe_operator.cache import Cache, EventSink, Namespaces
from sensorpipe_operator.cluster_keys.keeper import ClusterKeysKeeper
from sensorpipe_operator.feeds.keeper import FeedKeeper
from sensorpipe_operator.health import Health
from sensorpipe_operator.kube_api import KubeApi
from sensorpipe_operator.lease.election import Election
from sensorpipe_operator.lease.lease_keeper import LeaseKeeper, new_identity
from sensorpipe_operator.metrics import OperatorMetrics
from sensorpipe_operator.names import Kind, key_of
from sensorpipe_operator.owners import Owners
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
    """Watch until SIGTERM or SIGINT, and reconcile while this operator is the one that acts."""
    election = Election(new_identity(), time.monotonic)
    acts = (lambda: election.leads) if settings.lease else (lambda: True)
    cache, queue, metrics = Cache(), WorkQueue(), OperatorMetrics(REGISTRY)
    namespaces = Namespaces(settings.namespaces)
    sink = EventSink(cache, queue)
    _add_gauges(
        metrics,
        acts=acts,
        cache=cache,
        queue=queue,
        sink=sink,
        namespaces=namespaces,
        settings=settings,
    )
    async with KubeApi.connect(settings.workers + 12, acts) as api:
        health = Health(api, cache, namespaces, silence=lambda: sink.silence_seconds)
        owners = Owners(api, "/".join(settings.lease or ()))
        _add_owners_gauge(metrics, cache, owners)
        reconciler = Reconciler(
            api,
            cache,
            queue,
            settings=settings.generator,
            owners=owners,
            metrics=metrics,
            clock=lambda: datetime.now(UTC),
        )
        list_first = partial(resync.fill, api, cache, queue, namespaces)
        keepers: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        if settings.feeds.config_map is not None:
            keepers["feeds"] = _keeper(api, cache, namespaces, settings, metrics).run
        if settings.cluster_issuer.issuer_map is not None:
            keepers["cluster keys"] = _cluster_keys(api, settings, metrics).run
        act = partial(_act, queue, reconciler, keepers, settings.workers)
        with MonitoringServer(
            *settings.http, healthy=partial(_alive, queue, health, acts), ready=health.ready
        ):
            background: Work = {
                "resync": resync.resync(
                    api,
                    cache,
                    queue,
                    metrics,
                    namespaces=namespaces,
                    every_seconds=settings.resync_ms / 1000,
                    requested=sink.list_needed,
                ),
                "retry": resync.retry_refused(api, cache, queue, namespaces),
            }
            watches = {"watches": run_kopf(sink, namespaces, list_first, stop)}
            lease = LeaseKeeper(api, settings.lease, election) if settings.lease else None
            await _supervise(watches, background, act, lease)
    log.info("Operator stopped")


async def _supervise(
    watches: Work,
    background: Work,
    act: Callable[[], Coroutine[Any, Any, None]],
    lease: LeaseKeeper | None,
) -> None:
    """Run everything until the watches end, which they do only after a signal."""
    if lease is None:
        await supervise(watches, {**background, "act": act()}, may_end=lambda: True)
        return
    background = {**background, "lease": lease.run(), "act": lease.act_while_held(act)}
    try:
        await supervise(watches, background, may_end=lambda: True)
    finally:
        await lease.release()


async def _act(
    queue: WorkQueue,
    reconciler: Reconciler,
    keepers: Mapping[str, Callable[[], Coroutine[Any, Any, None]]],
    workers: int,
) -> None:
    """Do what only one operator may do at a time, until cancelled."""
    work = {f"worker {n}": queue.run_worker(reconciler.reconcile) for n in range(workers)}
    await supervise(work | {name: run() for name, run in keepers.items()})


def _keeper(
    api: KubeApi,
    cache: Cache,
    namespaces: Namespaces,
    settings: Settings,
    metrics: OperatorMetrics,
) -> FeedKeeper:
    """Return what keeps the compactor's Feeds, with its gauges."""
    owners = Owners(api, "/".join(settings.lease or ()), Kind.FEED)
    keeper = FeedKeeper(
        api,
        cache,
        namespaces,
        settings=settings.feeds,
        owners=owners,
        metrics=metrics,
        clock=lambda: datetime.now(UTC),
    )
    _add_feed_gauges(metrics, keeper, cache, owners)
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


def _add_owners_gauge(metrics: OperatorMetrics, cache: Cache, owners: Owners) -> None:
    """Add the gauge of what is another release's."""
    metrics.add_gauge(
        "others_sensors",
        "Sensors in the cache that the operator of another release keeps.",
        lambda: owners.others(cache.sensors()),
    )


def _add_feed_gauges(
    metrics: OperatorMetrics, keeper: FeedKeeper, cache: Cache, owners: Owners
) -> None:
    """Add the gauges of what the keeper of the Feeds knows."""
    metrics.add_gauge(
        "others_feeds",
        "Feeds in the cache that the operator of another release keeps.",
        lambda: owners.others(map(key_of, cache.feeds())),
    )
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
    acts: Callable[[], bool],
    cache: Cache,
    queue: WorkQueue,
    sink: EventSink,
    namespaces: Namespaces,
    settings: Settings,
) -> None:
    """Add the gauges of what the operator's parts know."""
    metrics.add_gauge(
        "leading", "1 while this operator acts, 0 while it waits for the Lease.", acts
    )
    metrics.add_gauge(
        "queue",
        "Sensors waiting to be reconciled; 0 while another operator acts.",
        lambda: len(queue) if acts() else 0,
    )
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


def _alive(queue: WorkQueue, health: Health, acts: Callable[[], bool]) -> bool | str:
    """Whether the operator makes progress and its cache is current; called from another thread."""
    if acts() and not queue.progress.is_made():
        text = "Sensors are waiting, but no reconciliation started or ended for a minute"
        log.error(text, extra={"waiting": len(queue)})
        return text
    return health.alive()


if __name__ == "__main__":
    main()
