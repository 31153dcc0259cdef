"""The client that blocks."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
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


class Client(AbstractContextManager["Client"]):
    """A client of a server at `url`; use it in a `with` statement, from one thread at a time.

    `ca_file` has the certificates to verify the server with, in PEM. `timeout` is the longest time
    in seconds without an answer. Methods raise ClientError: ApiError with the server's reasons,
    ConnectionFailedError, AnswerError; and ValueError for arguments that no server takes.
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
        self._http = self._connection.client(httpx2.Client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def facilities(self) -> list[Facility]:
        """Return all facilities, sorted by name, with their sensors and newest windows."""
        return self._call(requests.facilities(), decode_facilities)

    def stats(
        self,
        *sensors: str,
        facility: str | None = None,
        since: TimeLike | None = None,
        until: TimeLike | None = None,
    ) -> list[FacilityStats]:
        """Return statistics of sensors for each facility, or for one, over a range of time."""
        request = requests.stats(sensors, facility=facility, since=since, until=until)
        return self._call(request, decode_stats)

    def integrity(self, facility: str | None = None) -> Integrity:
        """Return whether every reading of all facilities, or of one, was counted exactly once."""
        return self._call(requests.integrity(facility), decode_integrity)

    def dead_letters(
        self, *, limit: int = 50, reason: str | None = None, feed: str | None = None
    ) -> DeadLetters:
        """Return the newest dead letters, newest first: at most `limit`, 200 at most.

        `reason` and `feed` choose among them. The server reads them from Kafka, and only so far
        back as it takes; `complete` says whether there are no others.
        """
        request = requests.dead_letters(limit=limit, reason=reason, feed=feed)
        return self._call(request, decode_dead_letters)

    def windows(
        self,
        facility: str,
        *,
        since: TimeLike | None = None,
        until: TimeLike | None = None,
        sensors: Names = (),
    ) -> Iterator[Window]:
        """Yield a facility's windows, the newest first, page by page as they are consumed.

        Windows that are stored meanwhile neither repeat nor skip any.
        """
        cursor: str | None = ""
        while cursor is not None:
            request = requests.windows(
                facility, since=since, until=until, sensors=sensors, cursor=cursor
            )
            windows, cursor = self._call(request, partial(decode_windows, cursor=cursor))
            yield from windows

    def series(self, facilities: Names = (), **options: Unpack[SeriesOptions]) -> Series:
        """Return figures of sensors over time, by default of the last 24 hours.

        `facilities` are names or patterns such as `hall_*`; without any, all.
        """
        fields = tuple(names_in(options.get("fields", ()))) or DEFAULT_FIELDS
        request = requests.series(facilities, "json", options)
        return self._call(request, partial(decode_series, fields=fields))

    def stream_series(
        self, facilities: Names = (), *, form: str = "csv", **options: Unpack[SeriesOptions]
    ) -> Iterator[bytes]:
        """Yield the pieces of a series in the form `csv` or `ndjson`, in bounded memory.

        Raises ConnectionFailedError if it breaks off; it is not begun again.
        """
        request = requests.series(facilities, form, options)
        attempts = Attempts(self._retries)
        while True:
            outcome: Outcome | None = None
            try:
                with self._open(request) as response:
                    if response.status_code == HTTPStatus.OK:
                        outcome = broken_off(response)
                        yield from response.iter_bytes()
                        return
                    response.read()
                    outcome = reply_of(response)
            except httpx2.RequestError as error:
                if outcome is not None:
                    raise error_of(outcome) from error
                outcome = failure_of(self._connection.full_address(request), error)
            time.sleep(attempts.pause_after(outcome))

    def live(self, facilities: Names = (), *, sensors: Names = ()) -> Iterator[Window]:
        """Yield windows as they are stored, until the server cannot be reached any more.

        A window is yielded again when more of its readings are stored. After a lost connection it
        goes on where it was. What the server could not keep meanwhile is read from its store,
        newest first.
        """
        state = LiveState(facilities, self._live_retries)
        while True:
            outcome: Outcome
            request = requests.live(facilities, sensors, state.last_id)
            url = self._connection.full_address(request)
            try:
                with self._open(request, self._connection.live_timeout()) as response:
                    if response.status_code == HTTPStatus.OK:
                        yield from self._events(response, state, sensors)
                        outcome = failure_of(url, EOFError("the stream has ended"))
                    else:
                        response.read()
                        outcome = reply_of(response)
            except httpx2.RequestError as error:
                outcome = failure_of(url, error)
            time.sleep(state.pause_after(outcome))

    def _events(
        self, response: httpx2.Response, state: LiveState, sensors: Names
    ) -> Iterator[Window]:
        url = shown_url(response.url)
        check_stream(url, response.headers)
        state.connected(sent_at(response.headers) or datetime.now(UTC))
        for event in httpx2.EventSource(response):
            found = state.take(event, url)
            if isinstance(found, Gap):
                yield from self._missed(state, sensors)
            elif found is not None:
                yield found

    def _missed(self, state: LiveState, sensors: Names) -> Iterator[Window]:
        chosen = [each for each in self.facilities() if state.includes(each.name)]
        for each in chosen:
            since = state.since(each)
            for window in self.windows(each.name, since=since, sensors=sensors):
                yield window
                state.note(window)

    def _open(
        self, request: Request, timeout: httpx2.Timeout | None = None
    ) -> AbstractContextManager[httpx2.Response]:
        return self._http.stream("GET", **self._connection.arguments(request, timeout))

    def _call(self, request: Request, decode: Callable[[bytes], T]) -> T:
        steps = call(request, self._retries, decode)
        outcome: Outcome | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                outcome = None
            else:
                outcome = self._send(step)

    def _send(self, request: Request) -> Outcome:
        try:
            with self._open(request) as response:
                response.read()
                return reply_of(response)
        except httpx2.RequestError as error:
            return failure_of(self._connection.full_address(request), error)
