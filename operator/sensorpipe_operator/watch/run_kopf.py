"""Runs kopf's watches until SIGTERM, and restarts them when they end."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

import kopf
from kopf._cogs.structs.references import (  # kopf.operator takes them, but does not export them
    Insights,
    NamespaceName,
)
from sensorpipe_runtime.aio import cancel_on, stop_on_signals
from sensorpipe_runtime.service import supervise

from sensorpipe_operator.cache import EventSink, Namespaces
from sensorpipe_operator.names import MANAGER, Kind
from sensorpipe_operator.watch import handlers
from sensorpipe_operator.watch.kopf_storage import NoMemories

_RESTART_SECONDS: Final = 2.0
"""Time after which watches that ended are restarted."""

_WATCHED: Final = frozenset(kind.resource.plural for kind in Kind)
"""Names of the watched resources in paths."""

log = logging.getLogger(__name__)


class NotServedError(Exception):
    """The cluster does not serve all resources that are to be watched."""


async def run_kopf(
    sink: EventSink,
    namespaces: Namespaces,
    list_first: Callable[[], Coroutine[Any, Any, None]],
    stop: asyncio.Event,
) -> None:
    """Await `list_first` and pass watch events to `sink` until `stop`; restart after a failure.

    kopf itself reconnects after lost connections and expired versions, but it ends when a watch
    is refused: for example while Sensors are not defined, or during a long outage of the API
    server.
    """
    while True:
        stop_on_signals(stop)  # each time, since kopf replaces their handlers
        await cancel_on(stop, list_first())
        if stop.is_set():
            return
        try:
            await _watch(sink, namespaces, stop)
        except Exception as error:  # noqa: BLE001  whatever ended them, there are no watches now
            fields = {"error": str(error) or type(error).__name__}
            log.warning("The watches ended and will be restarted", extra=fields)
        else:
            return
        stop_on_signals(stop)
        await cancel_on(stop, asyncio.sleep(_RESTART_SECONDS))


async def _watch(sink: EventSink, namespaces: Namespaces, stop: asyncio.Event) -> None:
    # otherwise kopf looks up the user's name, and a container's user has none
    identity: Any = MANAGER
    running, insights = asyncio.Event(), Insights()
    tasks = await kopf.spawn_tasks(
        identity=identity,
        standalone=True,
        clusterwide=None in namespaces.accessible,
        namespaces=[name for name in namespaces.accessible if name is not None],
        settings=handlers.kopf_settings(),
        memo=kopf.Memo(sink=sink),
        memories=NoMemories(),
        stop_flag=stop,
        ready_flag=running,
        insights=insights,
    )
    operator = kopf.run_tasks(tasks, ignored=_Everything())
    control = _control(stop, running, insights, namespaces)
    # kopf returns only on a request to stop, perhaps by a signal that `stop` does not know of
    await supervise({"kopf": operator}, {"control watches": control}, may_end=lambda: True)


class _Everything(frozenset[Any]):
    """Has every task: kopf ends its own ones, and must not cancel what began after it did.

    Else it takes all those for its own: the workers, where the operator got the Lease later.
    """

    def __contains__(self, _: object) -> bool:
        return True


async def _control(
    stop: asyncio.Event, running: asyncio.Event, insights: Insights, namespaces: Namespaces
) -> None:
    """Do what kopf does not, until cancelled; raises NotServedError if it watches too little.

    kopf takes over the signals, and would ignore them while its watches end: they are taken
    back. It reads only once which resources the cluster serves, so that one missing at that
    moment would never be watched. And namespaces that become accessible are added.
    """
    await running.wait()
    stop_on_signals(stop)
    await insights.ready_resources.wait()
    missing = _WATCHED - {resource.plural for resource in insights.watched_resources}
    if missing:
        raise NotServedError(f"the cluster does not serve {', '.join(sorted(missing))} yet")
    await insights.ready_namespaces.wait()
    while True:
        await namespaces.changed.wait()
        namespaces.changed.clear()
        async with insights.revised:  # otherwise one refused watch would end all of them
            insights.namespaces.clear()
            insights.namespaces.update(map(_reference, namespaces.accessible))
            insights.revised.notify_all()


def _reference(namespace: str | None) -> NamespaceName | None:
    return None if namespace is None else NamespaceName(namespace)
