"""A way between two parts on loopback that can be cut, or stalled, at any time."""

import asyncio
from contextlib import suppress
from typing import Final

_CHUNK: Final = 65_536


class Proxy:
    """Passes connections on to a port of this machine, until it is cut or stalled."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._cut = False
        self._links: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End it with all its connections."""
        if self._server is not None:
            self._server.close()
        await self._drop()

    async def cut(self, seconds: float) -> None:
        """End all connections, and refuse new ones for so long."""
        self._cut = True
        await self._drop()
        await asyncio.sleep(seconds)  # how long the fault lasts
        self._cut = False

    async def stall(self, seconds: float) -> None:
        """Keep connections, and pass nothing on for so long."""
        self._open.clear()
        await asyncio.sleep(seconds)  # how long the fault lasts
        self._open.set()

    async def _drop(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        far: asyncio.StreamWriter | None = None
        try:
            if self._cut:
                return
            back, far = await asyncio.open_connection("127.0.0.1", self._target)
            async with asyncio.TaskGroup() as both:
                there = both.create_task(self._pass(reader, far))
                here = both.create_task(self._pass(back, writer))
                await asyncio.wait([there, here], return_when=asyncio.FIRST_COMPLETED)
                there.cancel()
                here.cancel()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(link)
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
