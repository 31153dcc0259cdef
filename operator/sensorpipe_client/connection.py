"""What both clients give to httpx2, and how they read its answers."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx2

from sensorpipe_client.calls import Failure, Reply, Request

C = TypeVar("C")

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_CONNECT_SECONDS: Final = 5.0
_LONGEST_TIMEOUT: Final = 86_400.0

LIVE_SECONDS: Final = 45.0
"""Longest time without any byte of a live stream, which has a heartbeat every 15 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How a server is reached; raise ValueError naming an argument that cannot be used."""

    url: str
    token: str | None = field(default=None, repr=False)
    ca_file: str | PathLike[str] | None = None
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise ValueError(f"url must be http://HOST:PORT or https://HOST:PORT; got {self.url!r}")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise ValueError("token must be of printable ASCII characters")
        if not 0 < self.timeout <= _LONGEST_TIMEOUT:
            raise ValueError(f"timeout must be above 0 and at most a day; got {self.timeout!r}")

    def client(self, kind: Callable[..., C]) -> C:
        """Return an httpx2 client of a kind; raise ValueError naming what it cannot use."""
        try:
            return kind(**self.options())
        except httpx2.InvalidURL as error:
            raise ValueError(f"the environment names a proxy that is no URL: {error}") from error

    def options(self) -> Mapping[str, Any]:
        """Return the arguments of an httpx2 client."""
        host = urlsplit(self.url).hostname
        return {
            "headers": {"Authorization": f"Bearer {self.token}"} if self.token else {},
            "timeout": httpx2.Timeout(self.timeout, connect=min(self.timeout, _CONNECT_SECONDS)),
            "verify": self._tls(),
            # a proxy would connect to its own loopback
            "trust_env": host not in _LOOPBACK,
        }

    def address(self, request: Request) -> str:
        """Return the URL of a request, without its query."""
        return self.url.rstrip("/") + request.path

    def full_address(self, request: Request) -> str:
        """Return the URL of a request, as it is shown."""
        return shown_url(httpx2.URL(self.address(request), params=dict(request.query)))

    def arguments(self, request: Request, timeout: httpx2.Timeout | None) -> Mapping[str, Any]:
        """Return the arguments with which httpx2 makes a request; without a timeout, the usual."""
        return {
            "url": self.address(request),
            "params": dict(request.query),
            "headers": dict(request.headers),
            "timeout": httpx2.USE_CLIENT_DEFAULT if timeout is None else timeout,
        }

    def live_timeout(self) -> httpx2.Timeout:
        """Return the timeouts of a live stream."""
        connect = min(self.timeout, _CONNECT_SECONDS)
        return httpx2.Timeout(self.timeout, connect=connect, read=max(LIVE_SECONDS, self.timeout))

    def _tls(self) -> ssl.SSLContext | bool:
        if self.ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise ValueError(f"ca_file {str(self.ca_file)!r} cannot be used: {error}") from error


def _is_address(url: str) -> bool:
    """Whether httpx2 can send a request to a URL."""
    try:
        httpx2.URL(url).host.encode("idna")
        parts = urlsplit(url)
    except (httpx2.InvalidURL, ValueError):  # a UnicodeError is one
        return False
    has_more = "?" in url or "#" in url
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not has_more


def shown_url(url: httpx2.URL) -> str:
    """Return a URL without a password in it."""
    return str(url.copy_with(userinfo=b""))


def reply_of(response: httpx2.Response) -> Reply:
    """Return a reply whose body was read."""
    return Reply(shown_url(response.url), response.status_code, response.headers, response.content)


def failure_of(url: str, error: Exception) -> Failure:
    """Return why a request has no answer."""
    return Failure(url, str(error) or type(error).__name__)


def broken_off(response: httpx2.Response) -> Failure:
    """Return the failure of an answer that began and did not end."""
    return Failure(shown_url(response.url), "the answer broke off")
