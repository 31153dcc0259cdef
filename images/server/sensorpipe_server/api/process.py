"""Runs the API in a process of its own, so that requests do not delay storing.

The server's first process forks it, which is fast, and unchanged memory is shared. Each process
has one end of a pair of connected sockets. The API sends its metrics once a second, which also
shows that it makes progress. A byte tells it to stop. If one process ends, for any reason, the
other one reads the end of the connection.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn, Self

import msgspec
import uvloop
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from sensorpipe_runtime.aio import ended_or_stopped
from sensorpipe_runtime.liveness import Heartbeat
from sensorpipe_runtime.service import supervise
from starlette.applications import Starlette

from sensorpipe_server.api.http import server
from sensorpipe_server.api.http.metrics import REGISTRY
from sensorpipe_server.storage.mongodb import database

BEAT_SECONDS: Final = 1.0
"""Seconds between two messages with the metrics of the API."""

END_SECONDS: Final = server.GRACE_SECONDS + 5.0
"""Seconds from the stop request, or the closed connection, until the API's process is killed."""

NICENESS: Final = 5
"""Niceness of the API's process, so that storing comes first if both need the CPU."""

Work = Callable[[], Coroutine[Any, Any, None]]
"""Function that returns work for the API's process beside its answers."""

Application = Callable[[database.Database], Starlette]
"""Function that returns the web application for a database."""

_MESSAGE_BYTES: Final = 1024 * 1024
_STOP: Final = b"s"

log = logging.getLogger(__name__)


class ApiEndedError(Exception):
    """The API's process ended without a request to stop."""

    def __init__(self, status: int) -> None:
        how = f"was ended by signal {-status}" if status < 0 else f"exited with {status}"
        super().__init__(f"the process of the API {how}; see its log messages")


class ApiProcess(Collector):
    """The API's process, in the process that forks it; collects its metrics.

    Entering it forks, so there must be only one thread. After leaving it the process has ended.
    """

    def __init__(
        self,
        mongodb_uri: str,
        listener: socket.socket,
        application: Application,
        work: Mapping[str, Work] | None = None,
    ) -> None:
        self.heartbeat = Heartbeat()
        """Beats with each message of the API."""
        self._mongodb_uri = mongodb_uri
        self._listener = listener
        self._application = application
        self._work = work or {}
        self._metrics = ""

    def __enter__(self) -> Self:
        self._connection, theirs = socket.socketpair()
        self._pid = os.fork()
        if not self._pid:
            self._connection.close()
            uri, app, work = self._mongodb_uri, self._application, self._work
            _run_api(_serve(uri, app, work, self._listener, theirs))
        theirs.close()
        self._listener.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._kill()
        if self._pid:
            self._wait()

    async def run(self, stop: asyncio.Event) -> None:
        """Watch the process; when `stop` is set, tell it to stop and return once it has ended.

        Raises ApiEndedError where it ends before.
        """
        reader, writer = await asyncio.open_connection(sock=self._connection, limit=_MESSAGE_BYTES)
        listening = asyncio.create_task(self._listen(reader), name="listen to the API")
        try:
            if await ended_or_stopped(listening, stop):
                raise ApiEndedError(await self._wait_for_exit())
            writer.write(_STOP)
            if status := await self._wait_for_exit():
                log.warning("the API exited with an error", extra={"status": status})
        finally:
            listening.cancel()
            writer.close()
            self._kill()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics in the last message of the API."""
        yield from text_string_to_metric_families(self._metrics)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Receive messages until the process ends."""
        with suppress(ConnectionError):
            while line := await reader.readline():
                self._metrics = msgspec.json.decode(line, type=str)
                self.heartbeat.beat()

    async def _wait_for_exit(self) -> int:
        """Wait for the end of the process and return its status; kill it after END_SECONDS."""
        ended = asyncio.create_task(asyncio.to_thread(self._wait), name="end of the API")
        await asyncio.wait({ended}, timeout=END_SECONDS)
        if not ended.done():
            log.warning("the API does not exit; killing it")
            self._kill()
        return await ended

    def _wait(self) -> int:
        """Return the exit status of the process, or its signal as a negative number."""
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def _kill(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)


def _run_api(serving: Coroutine[Any, Any, None]) -> NoReturn:
    """Run the API in this process, and end it."""
    status = 1
    try:
        for number in (
            signal.SIGTERM,
            signal.SIGINT,
        ):  # a signal to both processes is for the other one
            signal.signal(number, signal.SIG_IGN)
        os.nice(NICENESS)
        uvloop.run(serving)
        status = 0
    except BaseException:
        log.exception("the API failed")
    finally:
        os._exit(status)


async def _serve(
    mongodb_uri: str,
    application: Application,
    work: Mapping[str, Work],
    listener: socket.socket,
    connection: socket.socket,
) -> None:
    """Answer requests until the other process tells this one to stop."""
    reader, writer = await asyncio.open_connection(sock=connection)
    stop = asyncio.Event()
    async with database.connect(mongodb_uri) as client:
        app = application(database.database(client))
        await supervise(
            {"http": server.serve(app, listener, stop)},
            {
                "send metrics": _send_metrics(writer),
                "wait for stop": _wait_for_stop(reader, stop),
                **{name: begin() for name, begin in work.items()},
            },
            may_end=stop.is_set,
        )


async def _send_metrics(writer: asyncio.StreamWriter) -> None:
    """Send the metrics once a second until cancelled."""
    with _exit_with_the_other():
        while True:
            writer.write(msgspec.json.encode(generate_latest(REGISTRY).decode()) + b"\n")
            await writer.drain()
            await asyncio.sleep(BEAT_SECONDS)


async def _wait_for_stop(reader: asyncio.StreamReader, stop: asyncio.Event) -> None:
    """Set `stop` once the other process asks for it."""
    with _exit_with_the_other():
        while await reader.read(len(_STOP)):
            stop.set()
        raise ConnectionResetError


@contextmanager
def _exit_with_the_other() -> Iterator[None]:
    """Exit at once if the connection to the other process ends, since that process has ended."""
    try:
        yield
    except ConnectionError:
        os._exit(1)
