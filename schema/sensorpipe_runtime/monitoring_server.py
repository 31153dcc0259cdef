"""Metrics and health over HTTP, on a separate port: 9090 by default."""

import io
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from sensorpipe_runtime.settings import SettingsError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

Document = Callable[[], bytes]
"""Returns a document in JSON."""

Check = Callable[[], bool | str]
"""Returns True if all is well, else False or a text that says what is wrong."""

MAX_THREADS: Final = 16
"""Largest number of requests answered at the same time."""

MAX_HEAD_BYTES: Final = 16 * 1024
"""Largest size of a request's first line and headers, in bytes."""

REQUEST_SECONDS: Final = 10.0
"""Seconds within which a request must be complete, and the response read."""

_FAILED: Final = {"/healthz": "unhealthy", "/readyz": "not ready"}
_PIECE_BYTES: Final = 4096
_SLOT_SECONDS: Final = 1.0
_HEAD_ENDS: Final = (b"\r\n\r\n", b"\n\n")


class MonitoringServer:
    """Serves `/metrics`, `/healthz` and `/readyz` from threads, independent of the event loop.

    `documents` are further answers, in JSON, by their paths; each is called from a thread.

    A check that fails is answered with status 503 and its text, or "unhealthy" or "not ready".
    Raises SettingsError, which names the setting, if it cannot listen.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        healthy: Check,
        ready: Check,
        documents: Mapping[str, Document] = MappingProxyType({}),
        setting: str = "SENSORPIPE_HTTP",
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._checks = {"/healthz": healthy, "/readyz": ready}
        self._documents = documents
        self._metrics = make_wsgi_app()
        try:
            self._server = make_server(host, port, self._answer, _Server, _RequestHandler)
            self._server.request_seconds = request_seconds
        except OSError as error:
            problem = f"{setting}: cannot listen on {host}:{port}: {error}"
            raise SettingsError([problem]) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="monitoring server", daemon=True
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        check = self._checks.get(path)
        if check is None:
            return self._other(path, environ, start_response)
        found = check()
        passed = found is True
        status = "200 OK" if passed else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain")])
        return [b"ok\n" if passed else f"{found or _FAILED[path]}\n".encode()]

    def _other(
        self, path: str, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            return answer
        if (document := self._documents.get(path)) is not None:
            content = document()
            start_response("200 OK", [("Content-Type", "application/json")])
            return [content]
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        there = ", ".join(("/metrics", "/healthz", *self._documents))
        return [f"not found; there are {there} and /readyz\n".encode()]


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """Answers each request in one of at most MAX_THREADS threads.

    If all are in use, the connection whose request has been incomplete for longest is closed, so
    that idle clients cannot delay a probe.
    """

    daemon_threads = True
    request_queue_size = 64
    request_seconds = REQUEST_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._slots = threading.Semaphore(MAX_THREADS)
        self._lock = threading.Lock()
        self._sending: dict[socket.socket, None] = {}

    def server_bind(self) -> None:
        """Bind without resolving the host's name, which can take seconds without DNS."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, or close the connection if none becomes free."""
        if not self._slots.acquire(blocking=False):
            self._cut_off_oldest()
            if not self._slots.acquire(timeout=_SLOT_SECONDS):
                self.shutdown_request(request)
                return
        with self._lock:
            self._sending[request] = None
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads
            self.has_sent(request)
            self._slots.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.has_sent(request)
            self._slots.release()

    def has_sent(self, request: socket.socket) -> None:
        """Note that a request is complete, so that its connection is not closed early."""
        with self._lock:
            self._sending.pop(request, None)

    def _cut_off_oldest(self) -> None:
        with self._lock:
            oldest = next(iter(self._sending), None)
            if oldest is not None:
                del self._sending[oldest]
                with suppress(OSError):  # the client has disconnected
                    oldest.shutdown(socket.SHUT_RDWR)


class _RequestHandler(WSGIRequestHandler):
    """Answers requests without logging each of them."""

    server: _Server

    def handle(self) -> None:
        """Answer a request if it is complete in time and not too large."""
        try:
            head = self._head()
        except OSError:
            return  # too late, or the client has disconnected
        if head:
            self.server.has_sent(self.connection)
            self.connection.settimeout(self.server.request_seconds)
            self.rfile = io.BufferedReader(io.BytesIO(head))
            super().handle()

    def _head(self) -> bytes:
        """Return the first line and headers, or b"" if they are incomplete or too large.

        Raises TimeoutError after `request_seconds` in all.
        """
        head = b""
        deadline = time.monotonic() + self.server.request_seconds
        while len(head) <= MAX_HEAD_BYTES:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self.connection.settimeout(left)
            piece: bytes = self.connection.recv(_PIECE_BYTES)
            head += piece
            if not piece:
                break
            if any(end in head for end in _HEAD_ENDS):
                return head
        return b""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  inherited name
        """Log nothing."""
