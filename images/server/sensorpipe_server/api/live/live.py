"""`GET /api/live`: windows as they are stored, as server-sent events."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from http import HTTPStatus
from itertools import islice
from typing import Final

from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sensorpipe_server.api import operations
from sensorpipe_server.api.access.guard import caller_of
from sensorpipe_server.api.http import metrics as http_metrics
from sensorpipe_server.api.http.limits import RETRY_AFTER_SECONDS
from sensorpipe_server.api.http.open_streams import OpenStreams, TooManyStreamsError
from sensorpipe_server.api.http.problems import database_unavailable, problem
from sensorpipe_server.api.live import events, metrics
from sensorpipe_server.api.live.client import Client
from sensorpipe_server.api.live.feed import WINDOWS, Feed
from sensorpipe_server.api.live.joining import Joined, Joining
from sensorpipe_server.api.live.selection import Selection
from sensorpipe_server.api.openapi.operation import EVENTS
from sensorpipe_server.api.params import Params
from sensorpipe_server.storage.mongodb.changes import NoChangesError
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.source_seqs import Settling

HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

CATCHING_UP: Final = 4
"""Largest number of clients at once for which missed windows are read."""


MOST_SECONDS: Final = 86_400.0
"""Longest time in seconds for which a stream with a token lasts."""

log = logging.getLogger(__name__)


class Live:
    """Answers with streams of events; all of them end with `streams`."""

    def __init__(self, db: Database, settling: Settling, streams: OpenStreams) -> None:
        self._feed = Feed(db, settling)
        self._joining = Joining(self._feed)
        self._streams = streams
        self._streams.closers.add(self._feed.stop)
        self._reading = asyncio.Semaphore(CATCHING_UP)

    async def answer(self, request: Request) -> Response:
        """Answer with a stream, or with the reason why there is none."""
        params = Params(request, operations.LIVE)
        facilities, sensors = params.facilities(), params.sensors(required=False)
        params.check()
        selection = Selection(
            tuple(sorted(facilities.patterns)), tuple(sorted(sensors)), params.granted.patterns
        )
        with ExitStack() as stack:
            try:
                stack.enter_context(self._streams.one_more())
                if request.method == "HEAD":
                    await self._feed.start()
                    return Response(headers=HEADERS, media_type=EVENTS)
                last_id = request.headers.get("last-event-id")
                joined = await self._joining.join(selection, last_id)
                _close_at(caller_of(request.scope).expires_at, joined.client, stack)
            except TooManyStreamsError:
                return _refuse(request, self._streams.limit)
            except NoChangesError as error:
                detail = f"{str(error)[0].upper()}{str(error)[1:]}: poll /api/series instead"
                return problem(request, HTTPStatus.NOT_IMPLEMENTED, detail)
            except TimeoutError as error:
                return await database_unavailable(request, error)
            return _EventStream(self, joined, stack.pop_all())

    async def events_of(self, joined: Joined) -> AsyncGenerator[tuple[bytes, int]]:
        """Yield pieces of the stream of a client, with the number of events in each."""
        client, feed = joined.client, self._feed
        yield events.opening(joined.since), 0
        at = client.position
        missed = iter(joined.missed.items())
        while (some := dict(islice(missed, WINDOWS))) and not client.is_closed:
            async with self._reading:
                read = await feed.read(list(some), at)
            sensors = client.selection.sensors
            found = [
                event
                for key, position in some.items()
                if key in read and (event := feed.stored(read[key], position).event(sensors))
            ]
            yield events.chunk(found)
        while not client.is_closed:
            yield await client.take()

    def close_all(self) -> None:
        """End the streams of all clients, which connect again and resume."""
        for client in list(self._feed.audience):
            client.close()

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self._feed.audience.leave(client)

    @contextmanager
    def closing(self, client: Client) -> Iterator[None]:
        """Close a client when the server stops."""
        self._streams.closers.add(client.close)
        try:
            yield
        finally:
            self._streams.closers.discard(client.close)


class _EventStream(Response):
    """The answer to one client, which lasts until it leaves or the server stops."""

    def __init__(self, live: Live, joined: Joined, stack: ExitStack) -> None:
        super().__init__(headers=HEADERS, media_type=EVENTS)
        del self.headers["content-length"]
        self._live = live
        self._joined = joined
        self._stack = stack

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send events."""
        client = self._joined.client
        leaving = asyncio.create_task(_close_on_disconnect(client, receive), name="live: leaving")
        try:
            with self._stack, self._live.closing(client):
                await self._send(send)
        finally:
            leaving.cancel()
            self._live.leave(client)

    async def _send(self, send: Send) -> None:
        status = {"status": int(HTTPStatus.OK), "headers": self.raw_headers}
        await send({"type": "http.response.start", **status})
        try:
            async with aclosing(self._live.events_of(self._joined)) as pieces:
                async for content, number in pieces:
                    await send({"type": "http.response.body", "body": content, "more_body": True})
                    metrics.EVENTS.inc(number)
        except (PyMongoError, TimeoutError) as error:  # the client connects again, and resumes
            log.info(
                "a live stream ends: MongoDB is unavailable", extra={"error": str(error)[:500]}
            )
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _close_at(expires_at: float | None, client: Client, stack: ExitStack) -> None:
    """Close a client when its token is no longer accepted, in unix seconds, or after a day."""
    if expires_at is not None:
        seconds = min(max(0.0, expires_at - time.time()), MOST_SECONDS)
        timer = asyncio.get_running_loop().call_later(seconds, client.close)
        stack.callback(timer.cancel)


async def _close_on_disconnect(client: Client, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    client.close()


def _refuse(request: Request, limit: int) -> Response:
    http_metrics.HTTP_REFUSED.labels(str(int(HTTPStatus.SERVICE_UNAVAILABLE))).inc()
    detail = f"The server has reached its limit of {limit} live streams at once"
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers)
