"""Adds limits to uvicorn's HTTP protocol: no client occupies memory, files or the loop for long.

Each refusal is answered once the earlier requests of its connection are, then the connection
ends. Refusals are counted, not logged: a client could fill the log with them.
"""

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from sensorpipe_server.api.http import metrics
from sensorpipe_server.api.http.limits import HttpLimits, Refusal, refusal_of
from sensorpipe_server.api.http.open_streams import OpenStreams

PIECE_BYTES: Final = 8 * 1024
"""Bytes parsed at a time; a head that does not end may exceed its limit by so many."""


class _RefusedError(Exception):
    """Ends the parsing; httptools replaces it by an error of its own."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection within `limits`."""

    limits: ClassVar[HttpLimits] = HttpLimits()
    streams: ClassVar[OpenStreams] = OpenStreams(0)

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._parser_refusal: Refusal | None = None
        """The refusal of a callback of the parser."""
        self._refusal: Refusal | None = None
        """The refusal with which the connection ends."""
        self._ends = False
        """Whether nothing more is read."""
        self._requests = 0
        """Number of requests whose first byte was parsed."""
        self._in_head = False
        self._in_request = True
        self._raw_bytes = 0
        self._header_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._unread_bytes = 0
        """Bytes that the client had not read when its time to read began."""
        self._linger: asyncio.TimerHandle | None = None

    # the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request, or refuse it if there are too many connections."""
        super().connection_made(transport)
        beyond = len(self.connections) - self.limits.connections
        if beyond > self.limits.answered:
            metrics.HTTP_REFUSED.labels("none").inc()
            self._ends = True
            transport.abort()
        elif beyond > 0:
            detail = f"The server has reached its limit of {self.limits.connections} connections"
            self._refuse(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail))
        else:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all timers."""
        for timer in (self._deadline, self._unread, self._linger):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse a little at a time, so that no more than a piece is parsed beyond a limit."""
        if self._ends:
            self.flow.pause_reading()
            return
        self._unset_keepalive_if_required()
        self._await_request()
        view = memoryview(data)
        try:
            for start in range(0, len(data), PIECE_BYTES):
                self._feed(view[start : start + PIECE_BYTES])
        except httptools.HttpParserUpgrade:
            self._ends = True  # the rest is not HTTP/1.1, so it cannot be answered
        except (httptools.HttpParserError, _RefusedError) as error:
            detail = f"The request is not valid HTTP/1.1: {error}"
            self._refuse(self._parser_refusal or Refusal(HTTPStatus.BAD_REQUEST, detail))
        if not self._in_request:
            self._stop_waiting()

    def _feed(self, piece: memoryview) -> None:
        begun = self._requests
        self.parser.feed_data(piece)
        if not self._in_head:
            return
        if self._requests == begun:  # or part of it belongs to the request before
            self._raw_bytes += len(piece)
        if self._raw_bytes - len(self.url) > self.limits.headers:
            raise self._too_large()

    # callbacks of the parser

    def on_message_begin(self) -> None:
        """Begin to count the bytes of a request."""
        super().on_message_begin()
        self._requests += 1
        self._in_head = self._in_request = True
        self._raw_bytes = self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Refuse a URL that is too long."""
        super().on_url(url)
        if len(self.url) > self.limits.url:
            detail = f"A URL may have at most {self.limits.url} bytes"
            raise self._found_wrong(Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, detail))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Refuse headers that are too large or too many."""
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value) + len(b": \r\n")
        too_many = len(self.headers) > self.limits.fields
        if too_many or self._header_bytes > self.limits.headers:
            raise self._too_large()

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the request or the number of requests is not allowed."""
        self._in_head = False
        refusal = refusal_of(self.limits, self.parser.get_http_version(), self.headers)
        refusal = refusal or self._busy()
        if refusal is not None:
            raise self._found_wrong(refusal)
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        super().on_message_complete()
        self._in_request = False

    def _busy(self) -> Refusal | None:
        if len(self.tasks) - self.streams.number >= self.limits.requests:
            detail = f"The server has reached its limit of {self.limits.requests} requests at once"
        elif len(self.pipeline) >= self.limits.pipelined:
            detail = (
                f"The limit of {self.limits.pipelined} waiting requests of a connection is reached"
            )
        else:
            return None
        return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail)

    def _too_large(self) -> Exception:
        detail = (
            f"The headers of a request may have at most {self.limits.headers} bytes"
            f" and {self.limits.fields} fields"
        )
        refusal = Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
        return self._found_wrong(refusal)

    def _found_wrong(self, refusal: Refusal) -> Exception:
        """Store a refusal, since the parser does not pass on the error that a callback raises."""
        self._parser_refusal = refusal
        return _RefusedError(refusal.detail)

    # refusing

    def on_response_complete(self) -> None:
        """Continue with the next request, or with a refusal that waits."""
        super().on_response_complete()
        if self._refusal is not None and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self.flow.pause_reading()
            self._answer_refusal()
        self._watch_reader()

    def _refuse(self, refusal: Refusal) -> None:
        metrics.HTTP_REFUSED.labels(str(int(refusal.status))).inc()
        self._refusal = refusal
        self._ends = True
        self._stop_waiting()
        self._unset_keepalive_if_required()
        self.flow.pause_reading()
        self._answer_refusal()

    def _answer_refusal(self) -> None:
        """Answer, unless an earlier request is not answered yet, and end the connection."""
        if self._refusal is None or not self._all_answered() or self.transport.is_closing():
            return
        url = self.url if self._requests else b""
        self.transport.write(self._refusal.response(url, self.server_state.default_headers))
        self.transport.write_eof()
        self._linger = self.loop.call_later(self.limits.linger_seconds, self.transport.abort)

    def _all_answered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None until the first request
        return cycle is None or cycle.response_complete

    # time

    def _await_request(self) -> None:
        """Start the timer for a complete request, unless it runs already."""
        if self._deadline is None:
            self._in_request = True
            self._deadline = self.loop.call_later(self.limits.request_seconds, self._too_late)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self.flow.read_paused:  # the rest cannot be read before earlier requests are answered
            self._await_request()
        elif self._requests and not self._in_head and self._in_request:
            self._end_after_answer()
        else:
            detail = f"The request was not complete after {self.limits.request_seconds:g} s"
            self._refuse(Refusal(HTTPStatus.REQUEST_TIMEOUT, detail))

    def _end_after_answer(self) -> None:
        """End a connection whose body is late; its request is answered without the body."""
        self._ends = True
        self.flow.pause_reading()
        self.shutdown()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """Continue to write."""
        super().resume_writing()
        self._watch_reader()

    def _watch_reader(self) -> None:
        """Start the timer for the client to read, if it has not read everything."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        self._unread_bytes = self.transport.get_write_buffer_size()
        if self._unread_bytes:
            self._unread = self.loop.call_later(self.limits.unread_seconds, self._look_at_reader)

    def _look_at_reader(self) -> None:
        """Disconnect a client that read nothing in its time; restart the timer of one that did."""
        self._unread = None
        left = self.transport.get_write_buffer_size()
        if left and left >= self._unread_bytes:
            metrics.HTTP_REFUSED.labels("none").inc()
            self.transport.abort()
        else:
            self._watch_reader()


def limited(limits: HttpLimits, streams: OpenStreams) -> type[LimitedProtocol]:
    """Return a class of the protocol with these limits, as uvicorn requires."""
    own = {"limits": limits, "streams": streams}
    return cast("type[LimitedProtocol]", type("Limited", (LimitedProtocol,), own))
