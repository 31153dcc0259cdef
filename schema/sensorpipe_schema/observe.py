"""Metrics and health over HTTP for the programs that have no API: port 9090 by default."""

import socketserver
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from sensorpipe_schema.settings import SettingsError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

Check = Callable[[], bool]


class Observatory:
    """Serves `/metrics`, `/healthz` and `/readyz` from a thread, so no busy loop delays them.

    Raises SettingsError where it cannot listen.
    """

    def __init__(self, host: str, port: int, *, healthy: Check, ready: Check) -> None:
        self._checks = {"/healthz": healthy, "/readyz": ready}
        self._metrics = make_wsgi_app()
        try:
            self._server = make_server(host, port, self._answer, _Server, _Quiet)
        except OSError as error:
            problem = f"SENSORPIPE_HTTP: cannot listen on {host}:{port}: {error}"
            raise SettingsError([problem]) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="observatory", daemon=True
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
            if path == "/metrics":
                answer: Iterable[bytes] = self._metrics(environ, start_response)
                return answer
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/metrics, /healthz and /readyz are here\n"]
        passed = check()
        status = "200 OK" if passed else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain")])
        return [b"ok\n" if passed else b"not now\n"]


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """Answers each probe in a thread, so that a silent client holds up nobody."""

    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which can take seconds without DNS."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _Quiet(WSGIRequestHandler):
    """Answers without a line on standard error for each probe."""

    timeout = 10  # seconds for a client that connects and says nothing

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  inherited name
        """Say nothing."""
