"""Lists all objects: at the start, when a watch was restarted, and at intervals."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Final, Protocol

from sensorpipe_operator.cache import Cache, Listing, Namespaces
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.metrics import OperatorMetrics
from sensorpipe_operator.names import Body, Key, Kind
from sensorpipe_operator.workqueue import WorkQueue

_FORBIDDEN: Final = 403
_START_RETRY_SECONDS: Final = 2.0
"""Time between two attempts to fill the cache."""
_RETRY_SECONDS: Final = 10.0
"""Time after which a failed list is retried."""
_SETTLE_SECONDS: Final = 1.0
"""Pause before a list, since watches are often restarted together."""

log = logging.getLogger(__name__)


class ObjectLister(Protocol):
    """The request to the API server that this module needs."""

    def pages(self, kind: Kind, namespace: str | None) -> AsyncIterator[tuple[Iterable[Body], int]]:
        """Yield all objects of a kind page by page, and the list's version; raises ApiError."""


async def fill(api: ObjectLister, cache: Cache, queue: WorkQueue, namespaces: Namespaces) -> None:
    """Fill the cache; tries every 2 s until the API server responds and a namespace can be read."""
    while True:
        try:
            await refresh(api, cache, queue, namespaces)
        except ApiError as error:
            log.warning("Waiting for the cluster", extra={"error": str(error)})
        else:
            if namespaces.accessible:
                cache.is_filled.set()
                break
            log.warning("Waiting for access to a namespace")
        await asyncio.sleep(_START_RETRY_SECONDS)
    names = [name for name in namespaces.accessible if name is not None]
    fields = {"sensors": len(cache.sensors()), "namespaces": names or "all"}
    log.info("Operator started", extra=fields)


async def refresh(
    api: ObjectLister,
    cache: Cache,
    queue: WorkQueue,
    namespaces: Namespaces,
    only: Iterable[str | None] | None = None,
) -> int:
    """Update the cache from lists, queue the Sensors that changed, and return their number.

    Lists all configured namespaces, or `only` some of them. A namespace to which access is
    refused is recorded and skipped; any other failure raises ApiError.
    """
    changed: set[Key] = set()
    for name in namespaces.configured if only is None else only:
        try:
            changed |= await _refresh_namespace(api, cache, queue, name)
        except ApiError as error:
            if name is None or error.status != _FORBIDDEN:
                raise
            namespaces.mark_refused(name, error.message)
            cache.drop_namespace(name)
        else:
            namespaces.mark_accessible(name)
    return len(changed)


async def _refresh_namespace(
    api: ObjectLister, cache: Cache, queue: WorkQueue, namespace: str | None
) -> set[Key]:
    """Update the cache from lists of one namespace or the cluster; return changed Sensors."""
    all_changed: set[Key] = set()
    for kind in Kind:
        listing, version = Listing(cache, kind, namespace), 0
        async for bodies, version in api.pages(kind, namespace):  # noqa: B007  of the last one
            for body in bodies:
                key = listing.put(body)
                if key is not None:  # at once: the next page may fail
                    queue.add(key)
                    all_changed.add(key)
        for key in listing.end(version):
            queue.add(key)
            all_changed.add(key)
    return all_changed


async def retry_refused(
    api: ObjectLister, cache: Cache, queue: WorkQueue, namespaces: Namespaces
) -> None:
    """Every 10 s, list the namespaces to which access was refused; runs until cancelled."""
    while True:
        await asyncio.sleep(_RETRY_SECONDS)
        try:
            await refresh(api, cache, queue, namespaces, namespaces.refused)
        except ApiError as error:
            log.warning("Listing failed and will be retried", extra={"error": str(error)})
        except Exception:  # as in resync
            log.exception("Listing failed and will be retried")


async def resync(
    api: ObjectLister,
    cache: Cache,
    queue: WorkQueue,
    metrics: OperatorMetrics,
    *,
    namespaces: Namespaces,
    every_seconds: float,
    requested: asyncio.Event,
) -> None:
    """List all objects every `every_seconds` and when `requested` is set; runs until cancelled."""
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(every_seconds):
                await requested.wait()
                await asyncio.sleep(_SETTLE_SECONDS)
        requested.clear()
        try:
            changed = await refresh(api, cache, queue, namespaces)
        except ApiError as error:
            log.warning("Listing failed and will be retried", extra={"error": str(error)})
        except Exception:  # a malformed response, of a proxy perhaps; the lists must go on
            log.exception("Listing failed and will be retried")
        else:
            metrics.resynced(changed)
            if changed:
                log.info("Resync found missed changes", extra={"sensors": changed})
            continue
        await asyncio.sleep(_RETRY_SECONDS)
        requested.set()
