"""Hears the watches, through kopf, until SIGTERM."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import Any, Final

import kopf

from sensorpipe_operator import handlers
from sensorpipe_operator.names import MANAGER
from sensorpipe_operator.watching import Watching

_PAUSE_SECONDS: Final = 2.0

log = logging.getLogger(__name__)


async def listen(
    watching: Watching, namespaces: tuple[str, ...], first: Callable[[], Awaitable[None]]
) -> None:
    """Do what comes first and then hear what happens; again if the watches end.

    kopf goes on by itself after lost connections and expired versions, but ends when a watch is
    refused: while Sensors are not defined, say, or when the API server is in trouble for long.
    """
    while await _unless_stopped(first()):
        try:
            await _watch(watching, namespaces)
        except Exception as error:  # noqa: BLE001  whatever ended them, nothing is heard any more
            fields = {"error": str(error) or type(error).__name__}
            log.warning("the watches have ended and begin anew", extra=fields)
        else:
            return
        if not await _unless_stopped(asyncio.sleep(_PAUSE_SECONDS)):
            return


async def _watch(watching: Watching, namespaces: tuple[str, ...]) -> None:
    name: Any = MANAGER  # else kopf asks for the user's name, and a container's user has none
    await kopf.operator(
        identity=name,
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        settings=handlers.kopf_settings(),
        memo=kopf.Memo(watching=watching),
    )


async def _unless_stopped(work: Awaitable[None]) -> bool:
    """Do it, unless SIGTERM comes before its end; kopf hears of signals only while it runs."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    await asyncio.wait([task])
    if task.cancelled():
        return False
    task.result()
    return True
