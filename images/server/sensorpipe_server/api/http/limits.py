"""Limits of the HTTP server, and the answers to requests beyond them. Pure."""

import re
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from sensorpipe_server.api.http.problems import document
from sensorpipe_server.api.openapi.operation import PROBLEM

Headers = Sequence[tuple[bytes, bytes]]

RETRY_AFTER_SECONDS: Final = 5
"""Seconds in the header Retry-After of a 503."""

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Headers of each answer: browsers do not guess its type, nor tell others its URL."""

MAX_STREAMS: Final = 1000
"""Largest number of streams of events at once, if there may be MAX_CONNECTIONS."""

MAX_CONNECTIONS: Final = 500 + MAX_STREAMS
"""Largest number of connections at once, if the process may open twice as many files."""

_INSTANCE_CHARACTERS: Final = 200

_is_host = re.compile(
    rb"(?:[\w.~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?", re.ASCII
).fullmatch


def connection_limit(open_files: int) -> int:
    """Return the largest number of connections for a process that may open so many files.

    It is at most half of the files, so that enough are left for Kafka, MongoDB and the probes.
    """
    if open_files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, open_files // 2)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of the HTTP server; a request beyond one is refused and its connection closed."""

    url: int = 64 * 1024 - 1
    """Largest number of bytes of a request's URL; httptools cannot split longer ones."""
    headers: int = 32 * 1024
    """Largest number of bytes of all header fields of a request."""
    fields: int = 100
    """Largest number of header fields of a request."""
    body: int = 64 * 1024
    """Largest number of bytes of a request's body, which no path of the API uses."""
    connections: int = MAX_CONNECTIONS
    """Largest number of connections at once."""
    streams: int = MAX_STREAMS
    """Largest number of streams of events at once, which leaves connections for requests."""
    answered: int = 50
    """Number of connections beyond `connections` that get a 503; more are closed unanswered."""
    requests: int = 64
    """Largest number of requests answered at once, over all connections, streams apart."""
    pipelined: int = 8
    """Largest number of requests of one connection that wait for earlier answers."""
    request_seconds: float = 10
    """Seconds from the first byte of a request, or the connection, to the complete request."""
    unread_seconds: float = 60
    """Seconds after which a client that does not read its answer is disconnected."""
    linger_seconds: float = 1
    """Seconds from a refusal to the reset of the connection, in which it can be read."""

    @classmethod
    def of_process(cls) -> "HttpLimits":
        """Return limits for the number of files that this process may open.

        A process may open more files than at its start, up to a limit that it cannot change.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 2 * MAX_CONNECTIONS
        if soft != resource.RLIM_INFINITY and soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        connections = connection_limit(soft)
        return cls(connections=connections, streams=connections * MAX_STREAMS // MAX_CONNECTIONS)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The status and reason with which a request is refused."""

    status: HTTPStatus
    detail: str

    def response(self, url: bytes, headers: Headers) -> bytes:
        """Return a complete HTTP response with a problem document and these additional headers.

        `url` is that of the request, as far as it was read.
        """
        path = url.partition(b"?")[0][:_INSTANCE_CHARACTERS].decode("latin-1") or "/"
        body = document(self.status, self.detail, path)
        fields = [
            *headers,
            (b"content-type", PROBLEM.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()),
        ]
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            fields.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
        lines = [b"HTTP/1.1 %d %s" % (self.status, self.status.phrase.encode())]
        lines += [b"%s: %s" % field for field in fields]
        return b"\r\n".join([*lines, b"", body])


def refusal_of(limits: HttpLimits, version: str, headers: Headers) -> Refusal | None:
    """Return the refusal of a request by its headers (names in lower case); None if valid.

    HTTP/1.0 requests may come without a Host.
    """
    hosts = [value.strip() for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        detail = f"A request has exactly one Host header; this one has {len(hosts)}"
        return Refusal(HTTPStatus.BAD_REQUEST, detail)
    if hosts and not _is_host(hosts[0]):
        return Refusal(HTTPStatus.BAD_REQUEST, "The Host header must be HOST or HOST:PORT")
    if any(name == b"transfer-encoding" for name, _ in headers):
        detail = "A body must have a Content-Length; chunked bodies are not supported"
        return Refusal(HTTPStatus.LENGTH_REQUIRED, detail)
    lengths = [int(value) for name, value in headers if name == b"content-length"]
    if any(length > limits.body for length in lengths):
        detail = f"A body may have at most {limits.body} bytes"
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    return None
