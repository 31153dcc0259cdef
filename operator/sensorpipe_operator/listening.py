"""Hears the watches, through kopf, until SIGTERM."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import Any, Final

import kopf
from kopf._cogs.structs.references import Insights  # kopf.operator takes it, yet it has no alias

from sensorpipe_operator import handlers
from sensorpipe_operator.cluster import CONFIG_MAPS, DEPLOYMENTS, PODS, SENSORS
from sensorpipe_operator.names import MANAGER
from sensorpipe_operator.watching import Watching

_PAUSE_SECONDS: Final = 2.0

_WATCHED: Final = frozenset(plural for _, plural in (SENSORS, DEPLOYMENTS, CONFIG_MAPS, PODS))

log = logging.getLogger(__name__)


class UnservedError(Exception):
    """The cluster does not serve all that is to be watched."""


async def listen(
    watching: Watching, namespaces: tuple[str, ...], first: Callable[[], Awaitable[None]]
) -> None:
    """Do what comes first and then hear what happens; again if the watches end.

    kopf goes on by itself after lost connections and expired versions, but ends when a watch is
    refused: while Sensors are not defined, say, or when the API server is in trouble for long.
    """
    stop = asyncio.Event()
    while await _unless(stop, first()):
        try:
            await _watch(watching, namespaces, stop)
        except Exception as error:  # noqa: BLE001  whatever ended them, nothing is heard any more
            fields = {"error": str(error) or type(error).__name__}
            log.warning("the watches have ended and begin anew", extra=fields)
        else:
            return
        if not await _unless(stop, asyncio.sleep(_PAUSE_SECONDS)):
            return


async def _watch(watching: Watching, namespaces: tuple[str, ...], stop: asyncio.Event) -> None:
    name: Any = MANAGER  # else kopf asks for the user's name, and a container's user has none
    running, insights = asyncio.Event(), Insights()
    operator = asyncio.ensure_future(
        kopf.operator(
            identity=name,
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
            settings=handlers.kopf_settings(),
            memo=kopf.Memo(watching=watching),
            stop_flag=stop,
            ready_flag=running,
            insights=insights,
        )
    )
    beginning = asyncio.create_task(_begin(stop, running, insights), name="begin to watch")
    operator.add_done_callback(lambda _: beginning.cancel())
    try:
        await asyncio.wait([operator, beginning], return_when=asyncio.FIRST_EXCEPTION)
    finally:
        operator.cancel()
        await asyncio.gather(operator, beginning, return_exceptions=True)
    for task in (beginning, operator):
        if not task.cancelled():
            task.result()


async def _begin(stop: asyncio.Event, running: asyncio.Event, insights: Insights) -> None:
    """See to what kopf leaves undone at its start; raise UnservedError if it watches too little.

    It takes the signals, and would be deaf to them while its watches end. And it looks only once
    what the cluster has: what is not served in that moment would never be watched.
    """
    await running.wait()
    _take_signals(stop)
    await insights.ready_resources.wait()
    unserved = _WATCHED - {resource.plural for resource in insights.watched_resources}
    if unserved:
        raise UnservedError(f"the cluster does not serve {', '.join(sorted(unserved))} yet")


def _take_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _unless(stop: asyncio.Event, work: Awaitable[None]) -> bool:
    """Do it, unless SIGTERM comes before its end."""
    _take_signals(stop)
    task, stopping = asyncio.ensure_future(work), asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
    for each in (task, stopping):
        each.cancel()
    await asyncio.wait([task, stopping])
    if not task.cancelled():
        task.result()
    return not stop.is_set()
