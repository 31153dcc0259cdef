"""Limits of the HTTP server, and the answers to requests beyond them. Pure."""

import re
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from sensorpipe_server.api.http.problems import MEDIA_TYPE, document

Headers = Sequence[tuple[bytes, bytes]]

RETRY_AFTER_SECONDS: Final = 5
"""Seconds in the header Retry-After of a 503."""

MAX_CONNECTIONS: Final = 500
"""Largest number of connections at once, if the process may open twice as many files."""

_INSTANCE_CHARACTERS: Final = 200

_is_host = re.compile(
    rb"(?:[\w.~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?", re.ASCII
).fullmatch


def connection_limit(open_files: int) -> int:
    """Return how many connections a process that may open so many files takes.

    At most half of the files, so that Kafka, MongoDB and the probes have enough.
    """
    if open_files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return min(MAX_CONNECTIONS, open_files // 2)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of the HTTP server; what is beyond one is refused and its connection closed."""

    url: int = 64 * 1024 - 1
    """Bytes of a request's URL, the most that httptools can split into its parts."""
    headers: int = 32 * 1024
    """Bytes of all header fields of a request."""
    fields: int = 100
    """Header fields of a request."""
    body: int = 64 * 1024
    """Bytes of a request's body, which no path of the API has a use for."""
    connections: int = MAX_CONNECTIONS
    """Connections at once."""
    answered: int = 50
    """Connections beyond `connections` that get a 503; any more are closed without an answer."""
    requests: int = 64
    """Requests answered at once, of all connections."""
    pipelined: int = 8
    """Requests of one connection that wait for the answers before theirs."""
    request_seconds: float = 10
    """From the first byte of a request, or the connection, until the request is complete."""
    unread_seconds: float = 60
    """A client that takes nothing of its answer for so long is cut off."""
    linger_seconds: float = 1
    """From a refusal until the connection is reset, so that the client can read the refusal."""

    @classmethod
    def of_process(cls) -> "HttpLimits":
        """Return the limits that suit the number of files this process may open."""
        return cls(connections=connection_limit(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered as it asks."""

    status: HTTPStatus
    detail: str

    def response(self, url: bytes, headers: Headers) -> bytes:
        """Return a whole HTTP response with a problem document and these headers besides.

        `url` is the request's, as far as it was read.
        """
        path = url.partition(b"?")[0][:_INSTANCE_CHARACTERS].decode("latin-1") or "/"
        body = document(self.status, self.detail, path)
        fields = [
            *headers,
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        if self.status == HTTPStatus.SERVICE_UNAVAILABLE:
            fields.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
        lines = [b"HTTP/1.1 %d %s" % (self.status, self.status.phrase.encode())]
        lines += [b"%s: %s" % field for field in fields]
        return b"\r\n".join([*lines, b"", body])


def refusal_of(limits: HttpLimits, version: str, headers: Headers) -> Refusal | None:
    """Return what is wrong with a request by its headers (names in lower case), if anything is.

    HTTP/1.0 requests may come without a Host.
    """
    hosts = [value.strip() for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        detail = f"A request has exactly one Host header; this one has {len(hosts)}"
        return Refusal(HTTPStatus.BAD_REQUEST, detail)
    if hosts and not _is_host(hosts[0]):
        return Refusal(HTTPStatus.BAD_REQUEST, "The Host header must be HOST or HOST:PORT")
    if any(name == b"transfer-encoding" for name, _ in headers):
        detail = "A body must come with its Content-Length, not in chunks"
        return Refusal(HTTPStatus.LENGTH_REQUIRED, detail)
    lengths = [int(value) for name, value in headers if name == b"content-length"]
    if any(length > limits.body for length in lengths):
        detail = f"A body may have at most {limits.body} bytes"
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    return None
