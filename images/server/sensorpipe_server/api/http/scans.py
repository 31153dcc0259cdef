"""Limits the cost of requests: few scans at once, none for a client that disconnected."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from sensorpipe_server.api.http import metrics
from sensorpipe_server.api.http.limits import RETRY_AFTER_SECONDS
from sensorpipe_server.api.http.problems import problem

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]

AT_ONCE: Final = 2
"""Largest number of scans of a kind at once; they share a CPU with the requests for pages."""

WAITING: Final = 24
"""Largest number of requests of a kind that wait for a scan to end; more are refused.

A dashboard may send so many together. The rest of the 64 requests at once is for pages.
"""

WAIT_SECONDS: Final = 10.0
"""Seconds for which a request waits before it is refused."""

_CLIENT_CLOSED_REQUEST: Final = 499
"""Status of an answer that nobody reads, as proxies log it."""


class Scans:
    """Runs a few expensive requests of a kind at once, and lets a few more wait.

    Each kind has a limit of its own, so that requests for statistics do not delay an audit.
    """

    def __init__(
        self,
        at_once: int = AT_ONCE,
        most_waiting: int = WAITING,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self.waiting = 0
        """Number of requests that wait now."""
        self._at_once = at_once
        self._free = asyncio.Semaphore(at_once)
        self._most_waiting = most_waiting
        self._wait_seconds = wait_seconds

    def limited(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint with the limit; requests beyond it are answered with 503."""

        async def answer(request: Request) -> Response:
            if not await self._has_turn():
                return self._refuse(request)
            try:
                return await endpoint(request)
            finally:
                self._free.release()

        return answer

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn to continue a scan that ended its first turn, for as long as it takes.

        So a scan whose client reads slowly does not keep the others waiting.
        """
        async with self._free:
            yield

    async def _has_turn(self) -> bool:
        """Wait for a turn, which must be released; return False after `wait_seconds`."""
        if self._free.locked() and self.waiting >= self._most_waiting:
            return False
        self.waiting += 1
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await self._free.acquire()
        except TimeoutError:
            return False
        finally:
            self.waiting -= 1

    def _refuse(self, request: Request) -> Response:
        metrics.HTTP_REFUSED.labels(str(int(HTTPStatus.SERVICE_UNAVAILABLE))).inc()
        detail = (
            f"The server has reached its limit of {self._at_once} requests of this kind at once, "
            "and of waiting ones; try again later"
        )
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers)


def ended_by_disconnect(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint, cancelled when the client of a request disconnects."""

    async def answer(request: Request) -> Response:
        work = asyncio.create_task(endpoint(request), name=f"answer {request.url.path}")
        disconnect = asyncio.create_task(
            wait_for_disconnect(request.receive), name="wait for a disconnect"
        )
        try:
            await asyncio.wait({work, disconnect}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
        finally:
            await cancel(work, disconnect)
        return Response(status_code=_CLIENT_CLOSED_REQUEST)

    return answer


async def wait_for_disconnect(receive: Receive) -> None:
    """Return once the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their end; ignore their results."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
