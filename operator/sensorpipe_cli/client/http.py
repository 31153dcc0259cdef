"""Blocking HTTP GET; asyncio code calls it in a thread."""

import urllib.request
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlsplit

import msgspec

from sensorpipe_cli.terminal_text import printable

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class RequestError(Exception):
    """A request got no usable answer; the message has the URL and the reason."""


class _ErrorBody(msgspec.Struct):
    detail: str = ""


def get(url: str, seconds: float = 2.0, token: str | None = None) -> bytes:
    """Return the body of a 200 answer; raise RequestError otherwise, also after `seconds`.

    The token, of printable ASCII characters, is sent to this URL only, and not where it redirects.
    """
    try:
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
    except ValueError as error:
        raise RequestError(f"{url}: not a URL: {error}") from error
    if scheme not in ("http", "https") or not host:
        raise RequestError(f"{url}: must be http://HOST:PORT or https://HOST:PORT")
    # a proxy would connect to its own loopback
    proxies = [urllib.request.ProxyHandler({})] if host in _LOOPBACK else []
    opener = urllib.request.build_opener(*proxies)
    request = urllib.request.Request(url)  # noqa: S310  the scheme is checked
    if token is not None:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with opener.open(request, timeout=seconds) as answer:
            body: bytes = answer.read()
            return body
    except HTTPError as error:
        with error:
            detail = printable(_detail(error))
            raise RequestError(f"{url}: {error.code} {detail}".rstrip()) from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise RequestError(f"{url}: {printable(text)}") from error


def succeeds(url: str) -> bool:
    """Whether a GET of this URL is answered with 200 within 2 s."""
    try:
        get(url)
    except RequestError:
        return False
    return True


def _detail(error: HTTPError) -> str:
    try:
        return msgspec.json.decode(error.read(), type=_ErrorBody).detail or error.reason
    except (OSError, HTTPException, msgspec.MsgspecError):
        return str(error.reason)
