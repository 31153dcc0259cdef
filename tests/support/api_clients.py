"""The blocking and the asyncio client under one form, and servers that answer by a script."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

from sensorpipe_client import AsyncClient, Client
from sensorpipe_server.api.http import server
from starlette.applications import Starlette

KINDS = ("blocking", "asyncio")


class EitherClient:
    """Calls methods of one of the clients, each with a client of its own."""

    def __init__(self, kind: str, url: str, **options: Any) -> None:
        self._kind = kind
        self._url = url
        self._options = options

    async def call(self, name: str, *args: Any, most: int | None = None, **kwargs: Any) -> Any:
        """Return what a method returns; of an iterator a list, of the first `most` items."""
        if self._kind == "blocking":
            return await asyncio.to_thread(self._blocking, name, most, args, kwargs)
        async with AsyncClient(self._url, **self._options) as client:
            found = getattr(client, name)(*args, **kwargs)
            if not hasattr(found, "__aiter__"):
                return await found
            items: list[Any] = []
            async for item in found:
                items.append(item)
                if len(items) == most:
                    break
            await found.aclose()
            return items

    def _blocking(self, name: str, most: int | None, args: Any, kwargs: Any) -> Any:
        with Client(self._url, **self._options) as client:
            found = getattr(client, name)(*args, **kwargs)
            if not isinstance(found, Iterator):
                return found
            items = list(islice(found, most))
            getattr(found, "close", lambda: None)()
            return items


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    """Serve an application with the server's own HTTP, in this event loop; yield its URL."""
    listener = server.listen("127.0.0.1", 0)
    stop = asyncio.Event()
    serving = asyncio.create_task(server.serve(app, listener, stop), name="serve")
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        await serving


class Scripted:
    """A server that gives each request the next answer of a script, and closes the connection."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.requests: list[bytes] = []
        """The heads of the requests that came."""
        self._answers = list(answers)

    @property
    def left(self) -> int:
        """Number of answers that were not given yet."""
        return len(self._answers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            if self._answers:
                writer.write(self._answers.pop(0))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[tuple[Scripted, str]]:
    """Serve a script; yield it and the URL."""
    script = Scripted(answers)
    listening = await asyncio.start_server(script._serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield script, f"http://127.0.0.1:{port}"


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return an answer; underscores in names of headers stand for hyphens."""
    fields = {"content_length": str(len(body)), "connection": "close", **headers}
    lines = [f"HTTP/1.1 {status} X"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
