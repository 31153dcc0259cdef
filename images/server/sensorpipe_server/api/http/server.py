"""The HTTP server of the API's process."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from sensorpipe_runtime.aio import ended_or_stopped
from sensorpipe_runtime.settings import SettingsError
from starlette.applications import Starlette

from sensorpipe_server.api.http.limits import HttpLimits
from sensorpipe_server.api.http.open_streams import OpenStreams
from sensorpipe_server.api.http.protocol import limited

GRACE_SECONDS = 5
"""Seconds for requests in progress when the server stops."""

RECEIVE_BUFFER_BYTES = 64 * 1024
"""Bytes of unread input that the kernel buffers for each connection (Linux doubles it)."""


class _Server(uvicorn.Server):
    """Leaves signals to the program, which ends the consumer first; ends streams at its end."""

    def __init__(self, config: uvicorn.Config, streams: OpenStreams) -> None:
        super().__init__(config)
        self._streams = streams

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams, which would not end by themselves; then wait for the other answers."""
        self._streams.end()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, or raise SettingsError."""
    try:
        (family, *_), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise SettingsError([f"SENSORPIPE_HTTP: cannot listen there: {error}"]) from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    return listener


async def serve(
    app: Starlette,
    listener: socket.socket,
    stop: asyncio.Event,
    limits: HttpLimits | None = None,
) -> None:
    """Answer requests until `stop` is set; then finish those in progress.

    The default limits are those for this process. The application's `state.streams` are its
    streams that do not end by themselves, if it has any.
    """
    limits = limits or HttpLimits.of_process()
    streams: OpenStreams = getattr(app.state, "streams", OpenStreams(0))
    streams.limit = limits.streams
    config = uvicorn.Config(
        app,
        http=limited(limits, streams),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config, streams)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="serve")
    try:
        await ended_or_stopped(serving, stop)
    finally:
        server.should_exit = True
        await serving
