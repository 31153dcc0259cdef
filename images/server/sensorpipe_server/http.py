"""The HTTP server, in the same loop as the consumer."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from sensorpipe_schema.settings import SettingsError
from starlette.applications import Starlette

GRACE_SECONDS = 5


class _Server(uvicorn.Server):
    """Leaves the signals to the program: they end the consumer first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, or raise SettingsError."""
    try:
        (family, *_), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise SettingsError([f"SENSORPIPE_HTTP: cannot listen there: {error}"]) from error


async def serve(app: Starlette, listener: socket.socket, stop: asyncio.Event) -> None:
    """Answer requests until `stop` is set; then finish those that are under way."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="serve")
    stopping = asyncio.create_task(stop.wait(), name="stop serving")
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        stopping.cancel()
        await serving
