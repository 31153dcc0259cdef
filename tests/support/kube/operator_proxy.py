"""A way to the API server that a test can spoil: it counts, refuses, mutes and ends watches."""

import asyncio
import json
import ssl
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

_EXPIRED = {
    "type": "ERROR",
    "object": {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": "too old resource version: 1 (2)",
        "reason": "Expired",
        "code": 410,
    },
}
_HOP_BY_HOP = frozenset(("host", "connection", "transfer-encoding", "content-length"))


class Proxy:
    """Passes requests on, and what comes back; its fields may be set from any thread."""

    def __init__(self, server: str, authorities: str) -> None:
        self._server = server
        self._tls = ssl.create_default_context(cadata=authorities)
        self._watches: set[web.StreamResponse] = set()
        self.requests: list[tuple[str, str]] = []
        """Method and path of each; WATCH is a method of its own."""
        self.refuse = 0
        """The status that everybody gets instead of an answer."""
        self.mute = False
        """Whether what the watches tell is swallowed."""
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()

    def expire_watches(self) -> None:
        """End all watches as the API server does when it no longer knows what went before."""
        assert self._loop
        asyncio.run_coroutine_threadsafe(self._expire(), self._loop).result(10)

    def stop(self) -> None:
        """End, and all watches with it."""
        assert self._loop
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def serve(self, ready: threading.Event) -> None:
        """Serve on a port of its own until stopped."""
        self._loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession(auto_decompress=False) as self._client:
            runner = web.ServerRunner(web.Server(self._pass_on), shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            ready.set()
            await self._stopped.wait()
            await runner.cleanup()

    async def _expire(self) -> None:
        for watch in list(self._watches):
            await watch.write(json.dumps(_EXPIRED).encode() + b"\n")
            await watch.write_eof()

    async def _pass_on(self, request: web.BaseRequest) -> web.StreamResponse:
        is_watch = request.query.get("watch") == "true"
        self.requests.append(("WATCH" if is_watch else request.method, request.path))
        if self.refuse:
            return web.json_response({"kind": "Status", "code": self.refuse}, status=self.refuse)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        url, body = f"{self._server}{request.raw_path}", await request.read()
        async with self._client.request(
            request.method, url, data=body or None, headers=headers, ssl=self._tls
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
            made = web.StreamResponse(status=answer.status, headers=kept)
            await made.prepare(request)
            await self._copy(answer, made, is_watch=is_watch)
            return made

    async def _copy(
        self, answer: aiohttp.ClientResponse, made: web.StreamResponse, *, is_watch: bool
    ) -> None:
        if not is_watch:
            await made.write(await answer.read())
            return
        self._watches.add(made)
        try:
            async for chunk in answer.content.iter_any():
                if not self.mute:
                    await made.write(chunk)
        except (ConnectionError, RuntimeError):  # its reader went, or it was made to expire
            return
        finally:
            self._watches.discard(made)
            # closing TLS waits for the server's answer, and the loop may end before that comes
            if answer.connection and answer.connection.transport:
                answer.connection.transport.abort()


@contextmanager
def spoilable(kubeconfig: Path, folder: Path) -> Iterator[tuple[Proxy, Path]]:
    """Yield a proxy, and a kubeconfig that leads through it."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster: dict[str, Any] = config["clusters"][0]["cluster"]
    proxy = Proxy(cluster["server"], _authorities(cluster))
    ready = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=[proxy.serve(ready)], name="proxy")
    thread.start()
    try:
        assert ready.wait(10)
        config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{proxy.port}"}
        path = folder / "spoilable.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        yield proxy, path
    finally:
        proxy.stop()
        thread.join(10)


def _authorities(cluster: dict[str, Any]) -> str:
    if "certificate-authority-data" in cluster:
        return b64decode(cluster["certificate-authority-data"]).decode()
    return Path(cluster["certificate-authority"]).read_text()
