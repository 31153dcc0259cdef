"""The client for asyncio; it has the methods of `Client`, whose docstrings say more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from os import PathLike
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx2

from sensorpipe_client import requests
from sensorpipe_client.answers import (
    DeadLetters,
    Facility,
    FacilityStats,
    Integrity,
    Window,
    decode_dead_letters,
    decode_facilities,
    decode_integrity,
    decode_stats,
    decode_windows,
)
from sensorpipe_client.calls import (
    Attempts,
    Outcome,
    Pause,
    Request,
    Retries,
    call,
    error_of,
    sent_at,
)
from sensorpipe_client.connection import Connection, broken_off, failure_of, reply_of, shown_url
from sensorpipe_client.live import RETRIES, Gap, LiveState, check_stream
from sensorpipe_client.requests import Names, SeriesOptions, names_in
from sensorpipe_client.series import DEFAULT_FIELDS, Series
from sensorpipe_client.series import decode as decode_series
from sensorpipe_client.times import TimeLike

T = TypeVar("T")


class AsyncClient(AbstractAsyncContextManager["AsyncClient"]):
    """A client of a server at `url`; use it in an `async with` statement, in one event loop.

    Its arguments and errors are those of `Client`.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        token: str | None = None,
        ca_file: str | PathLike[str] | None = None,
        timeout: float = 30.0,
        retries: Retries | None = None,
    ) -> None:
        self._connection = Connection(url=url, token=token, ca_file=ca_file, timeout=timeout)
        self._retries = retries or Retries()
        self._live_retries = retries or RETRIES
        self._http = self._connection.client(httpx2.AsyncClient)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def facilities(self) -> list[Facility]:
        """Return all facilities, sorted by name, with their sensors and newest windows."""
        return await self._call(requests.facilities(), decode_facilities)

    async def stats(
        self,
        *sensors: str,
        facility: str | None = None,
        since: TimeLike | None = None,
        until: TimeLike | None = None,
    ) -> list[FacilityStats]:
        """Return statistics of sensors for each facility, or for one, over a range of time."""
        request = requests.stats(sensors, facility=facility, since=since, until=until)
        return await self._call(request, decode_stats)

    async def integrity(self, facility: str | None = None) -> Integrity:
        """Return whether every reading of all facilities, or of one, was counted exactly once."""
        return await self._call(requests.integrity(facility), decode_integrity)

    async def dead_letters(
        self, *, limit: int = 50, reason: str | None = None, feed: str | None = None
    ) -> DeadLetters:
        """Return the newest dead letters, newest first, and how far back the server looked."""
        request = requests.dead_letters(limit=limit, reason=reason, feed=feed)
        return await self._call(request, decode_dead_letters)

    async def windows(
        self,
        facility: str,
        *,
        since: TimeLike | None = None,
        until: TimeLike | None = None,
        sensors: Names = (),
    ) -> AsyncIterator[Window]:
        """Yield a facility's windows, the newest first, page by page as they are consumed."""
        cursor: str | None = ""
        while cursor is not None:
            request = requests.windows(
                facility, since=since, until=until, sensors=sensors, cursor=cursor
            )
            windows, cursor = await self._call(request, partial(decode_windows, cursor=cursor))
            for window in windows:
                yield window

    async def series(self, facilities: Names = (), **options: Unpack[SeriesOptions]) -> Series:
        """Return figures of sensors over time, by default of the last 24 hours."""
        fields = tuple(names_in(options.get("fields", ()))) or DEFAULT_FIELDS
        request = requests.series(facilities, "json", options)
        return await self._call(request, partial(decode_series, fields=fields))

    async def stream_series(
        self, facilities: Names = (), *, form: str = "csv", **options: Unpack[SeriesOptions]
    ) -> AsyncIterator[bytes]:
        """Yield the pieces of a series in the form `csv` or `ndjson`, in bounded memory."""
        request = requests.series(facilities, form, options)
        attempts = Attempts(self._retries)
        while True:
            outcome: Outcome | None = None
            try:
                async with self._open(request) as response:
                    if response.status_code == HTTPStatus.OK:
                        outcome = broken_off(response)
                        async for piece in response.aiter_bytes():
                            yield piece
                        return
                    await response.aread()
                    outcome = reply_of(response)
            except httpx2.RequestError as error:
                if outcome is not None:
                    raise error_of(outcome) from error
                outcome = failure_of(self._connection.full_address(request), error)
            await asyncio.sleep(attempts.pause_after(outcome))

    async def live(self, facilities: Names = (), *, sensors: Names = ()) -> AsyncIterator[Window]:
        """Yield windows as they are stored, until the server cannot be reached any more."""
        state = LiveState(facilities, self._live_retries)
        while True:
            outcome: Outcome
            request = requests.live(facilities, sensors, state.last_id)
            url = self._connection.full_address(request)
            try:
                async with self._open(request, self._connection.live_timeout()) as response:
                    if response.status_code == HTTPStatus.OK:
                        async for window in self._events(response, state, sensors):
                            yield window
                        outcome = failure_of(url, EOFError("the stream has ended"))
                    else:
                        await response.aread()
                        outcome = reply_of(response)
            except httpx2.RequestError as error:
                outcome = failure_of(url, error)
            await asyncio.sleep(state.pause_after(outcome))

    async def _events(
        self, response: httpx2.Response, state: LiveState, sensors: Names
    ) -> AsyncIterator[Window]:
        url = shown_url(response.url)
        check_stream(url, response.headers)
        state.connected(sent_at(response.headers) or datetime.now(UTC))
        async for event in httpx2.EventSource(response):
            found = state.take(event, url)
            if isinstance(found, Gap):
                async for window in self._missed(state, sensors):
                    yield window
            elif found is not None:
                yield found

    async def _missed(self, state: LiveState, sensors: Names) -> AsyncIterator[Window]:
        chosen = [each for each in await self.facilities() if state.includes(each.name)]
        for each in chosen:
            since = state.since(each)
            async for window in self.windows(each.name, since=since, sensors=sensors):
                yield window
                state.note(window)

    def _open(
        self, request: Request, timeout: httpx2.Timeout | None = None
    ) -> AbstractAsyncContextManager[httpx2.Response]:
        return self._http.stream("GET", **self._connection.arguments(request, timeout))

    async def _call(self, request: Request, decode: Callable[[bytes], T]) -> T:
        steps = call(request, self._retries, decode)
        outcome: Outcome | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                outcome = None
            else:
                outcome = await self._send(step)

    async def _send(self, request: Request) -> Outcome:
        try:
            async with self._open(request) as response:
                await response.aread()
                return reply_of(response)
        except httpx2.RequestError as error:
            return failure_of(self._connection.full_address(request), error)
