"""Plain blocking clients, and the server's HTTP in a thread: what no HTTP library would send."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvloop
from sensorpipe_server.api.http import server
from sensorpipe_server.api.http.limits import HttpLimits
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

SECONDS = 60
HOST = b"Host: server\r\n"


@dataclass
class Answer:
    """A response that was read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def answers_of(received: bytes) -> list[Answer]:
    """Return the responses in what was received; each has a Content-Length, or no body."""
    found = []
    while received:
        head, end, rest = received.partition(b"\r\n\r\n")
        assert end, received
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        status = int(line.split(" ")[1])
        length = 0 if status in (204, 304) else int(headers["content-length"])
        found.append(Answer(status, headers, rest[:length]))
        received = rest[length:]
    return found


def connect(port: int, **options: int) -> socket.socket:
    """Return a connection; options are those of SOL_SOCKET, set before it connects."""
    client = socket.socket()
    for name, value in options.items():
        client.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
    client.settimeout(SECONDS)
    client.connect(("127.0.0.1", port))
    return client


def received(client: socket.socket) -> bytes:
    """Return all that comes until the connection ends, however it ends."""
    pieces = []
    try:
        while piece := client.recv(65536):
            pieces.append(piece)
    except ConnectionError:
        pass
    return b"".join(pieces)


def asked(port: int, *requests: bytes) -> list[Answer]:
    """Send requests in one go; return all answers until the server ends the connection."""
    with connect(port) as client:
        client.sendall(b"".join(requests))
        return answers_of(received(client))


def poured(client: socket.socket, start: bytes, piece: bytes, most: int) -> int:
    """Send `start`, then the piece again and again; return how many bytes went out."""
    sent = 0
    try:
        client.sendall(start)
        while sent < most:
            sent += client.send(piece)
    except ConnectionError:
        pass
    return sent


def get(path: bytes = b"/", *, close: bool = True, more: bytes = b"") -> bytes:
    """Return a request that is as it should be."""
    end = b"Connection: close\r\n" if close else b""
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + end + more + b"\r\n"


class Gated:
    """An application whose `/slow` answers once the gate is open."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self._gate: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        paths = {"/": self._answer, "/slow": self._slow, "/large": self._large}
        self.app = Starlette(routes=[Route(path, answer) for path, answer in paths.items()])

    async def _answer(self, _request: Request) -> Response:
        return PlainTextResponse("here")

    async def _large(self, _request: Request) -> Response:
        return PlainTextResponse("x" * 16_000_000)

    async def _slow(self, _request: Request) -> Response:
        self.entered.release()
        if self._gate is None:
            self._gate, self._loop = asyncio.Event(), asyncio.get_running_loop()
        await self._gate.wait()
        return PlainTextResponse("slow")

    def wait_for(self, requests: int) -> None:
        """Wait until so many requests for `/slow` are being answered."""
        for _ in range(requests):
            assert self.entered.acquire(timeout=SECONDS)

    def open(self) -> None:
        """Answer all that wait, and whoever comes."""
        assert self._loop is not None
        assert self._gate is not None
        self._loop.call_soon_threadsafe(self._gate.set)


@contextmanager
def serving(app: Starlette, limits: HttpLimits | None = None) -> Iterator[int]:
    """Serve an application with the server's own HTTP; yield the port."""
    listener = server.listen("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    ready = threading.Event()
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        ends.append((asyncio.get_running_loop(), stop))
        ready.set()
        await server.serve(app, listener, stop, limits)

    thread = threading.Thread(target=uvloop.run, args=(main(),), name="server")
    thread.start()
    try:
        assert ready.wait(SECONDS)
        yield port
    finally:
        loop, stop = ends[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(SECONDS)
    assert not thread.is_alive()
