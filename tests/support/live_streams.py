"""Clients of `/api/live` that read from a socket, so that they can also leave and be slow."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast

from sensorpipe_server.api.http import server
from sensorpipe_server.api.http.limits import HttpLimits
from sensorpipe_server.api.routes import application
from sensorpipe_server.storage.mongodb import database
from starlette.applications import Starlette
from support.waiting import SECONDS


class Event(NamedTuple):
    """A server-sent event; comments have neither kind nor data."""

    kind: str
    data: Any
    id: str


class Stream:
    """A client's connection: read it event by event, or leave it unread."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.last_id = ""
        """The id of the last event, also of one without data."""
        self._reader = reader
        self._writer = writer
        self._rest = b""

    async def read_head(self) -> None:
        """Read status and headers."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *lines = head.strip().split("\r\n")
        self.status = int(line.split()[1])
        self.headers = {
            name.lower(): value for name, _, value in (each.partition(": ") for each in lines)
        }

    async def body(self) -> bytes:
        """Return the rest of an answer that has a length."""
        return await self._reader.readexactly(int(self.headers["content-length"]))

    async def block(self) -> Event:
        """Return the next block: an event, an id or a comment; raise EOFError at the end."""
        while b"\n\n" not in self._rest:
            size = int((await self._reader.readuntil(b"\r\n")).strip() or b"0", 16)
            piece = await self._reader.readexactly(size + 2)
            if not size:
                raise EOFError
            self._rest += piece[:-2]
        block, _, self._rest = self._rest.partition(b"\n\n")
        parts = (line.partition(": ") for line in block.decode().split("\n"))
        fields = {name: value for name, _, value in parts}
        self.last_id = fields.get("id", self.last_id)
        data = fields.get("data")
        return Event(fields.get("event", ""), data and json.loads(data), fields.get("id", ""))

    async def event(self) -> Event:
        """Return the next event with data; raise TimeoutError after SECONDS."""
        async with asyncio.timeout(SECONDS):
            while not (event := await self.block()).kind:
                pass
        return event

    async def events(self, number: int) -> list[Event]:
        """Return the next events with data."""
        return [await self.event() for _ in range(number)]

    async def drain(self) -> None:
        """Read to the end, whatever it is."""
        while await self._reader.read(2**16):
            pass

    def read_on(self, *, on: bool) -> None:
        """Take from the socket again, or nothing more."""
        transport = cast("asyncio.Transport", self._writer.transport)
        (transport.resume_reading if on else transport.pause_reading)()

    def leave(self) -> None:
        """End the connection at once."""
        self._writer.transport.abort()


@asynccontextmanager
async def listening(
    port: int,
    query: str = "",
    last_id: str = "",
    method: str = "GET",
    buffer: int = 2**16,
    *,
    token: str = "",
) -> AsyncIterator[Stream]:
    """Have a client, that has read the head and, of a stream, the id where it begins."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.setblocking(False)  # noqa: FBT003  of the standard library
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=client, limit=buffer)
    resume = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
    resume += f"Authorization: Bearer {token}\r\n" if token else ""
    head = f"{method} /api/live?{query} HTTP/1.1\r\nHost: server\r\n{resume}"
    writer.write(f"{head}Accept-Encoding: gzip\r\n\r\n".encode())
    stream = Stream(reader, writer)
    try:
        await stream.read_head()
        if stream.status == 200 and method == "GET":
            first = await stream.block()
            assert first.id
        yield stream
    finally:
        stream.leave()


@asynccontextmanager
async def served(app: Starlette, limits: HttpLimits | None = None) -> AsyncIterator[int]:
    """Serve an application in this loop; yield the port."""
    listener = server.listen("127.0.0.1", 0)
    stop = asyncio.Event()
    serving = asyncio.create_task(server.serve(app, listener, stop, limits))
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        await serving


@asynccontextmanager
async def live(db: database.Database, limits: HttpLimits | None = None) -> AsyncIterator[int]:
    """Serve the API over a database; yield the port."""
    async with served(application(db, page_limit=20), limits) as port:
        yield port
