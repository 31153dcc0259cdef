"""Weak entity tags, and 304 for a client that has the answer already."""

import asyncio
import hashlib
from base64 import urlsafe_b64encode
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sensorpipe_server.storage.pace import aside

MAX_HELD_BYTES: Final = 1024 * 1024
"""Largest size in bytes of an answer made in pieces that is held back for its tag.

A larger one is passed on without a tag. At most 64 requests are answered at once.
"""

TAG_SALT: Final = "sensorpipe.tag_salt"
"""Key of an ASGI scope: bytes that change all tags, so that callers with others share none."""

_EVENT_STREAM: Final = "text/event-stream"
_TAG_BYTES: Final = 16


def tag_of(body: bytes, salt: bytes = b"") -> str:
    """Return the weak entity tag of a body: the same for any content encoding."""
    key = hashlib.blake2b(salt).digest() if salt else b""
    digest = hashlib.blake2b(body, digest_size=_TAG_BYTES, key=key).digest()
    return f'W/"{urlsafe_b64encode(digest).decode().rstrip("=")}"'


def is_match(if_none_match: str, tag: str) -> bool:
    """Whether a header If-None-Match names a tag, by weak comparison."""
    if if_none_match.strip() == "*":
        return True
    tags = (each.strip().removeprefix("W/") for each in if_none_match.split(","))
    return tag.removeprefix("W/") in tags


class Conditional:
    """Adds an entity tag to the answers of an application, and answers 304 where it matches.

    A tag is the hash of a complete answer with status 200. An answer that has a tag keeps it. A
    stream of events is passed on at once, an answer of more than MAX_HELD_BYTES in pieces as well.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            asked = Headers(scope=scope).get("if-none-match", "")
            send = _Answer(asked, scope.get(TAG_SALT, b""), send).send
        await self._app(scope, receive, send)


class _Answer:
    """One answer, held back until it is complete."""

    def __init__(self, if_none_match: str, salt: bytes, send: Send) -> None:
        self._asked = if_none_match
        self._salt = salt
        self._send = send
        self._start: Message | None = None
        """The held beginning of the answer; None if nothing is held."""
        self._pieces: list[bytes] = []
        self._size = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _may_have_tag(message):
            self._start = message
        elif message["type"] == "http.response.body" and self._start is not None:
            await self._take(self._start, message)
        else:
            await self._send(message)

    async def _take(self, start: Message, message: Message) -> None:
        piece, more = message.get("body", b""), message.get("more_body", False)
        self._pieces.append(piece)
        self._size += len(piece)
        if more and self._size <= MAX_HELD_BYTES:
            return
        self._start = None
        if more:
            await self._pass_on(start)
            return
        body = b"".join(self._pieces)
        headers = MutableHeaders(raw=start["headers"])
        tag = headers.setdefault("etag", await aside(len(body), tag_of, body, self._salt))
        if is_match(self._asked, tag):
            start, body = _not_modified(start), b""
        else:
            headers["content-length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _pass_on(self, start: Message) -> None:
        """Send what was held; other tasks run in between, as each piece is still compressed."""
        await self._send(start)
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)


def _may_have_tag(start: Message) -> bool:
    media_type = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] == HTTPStatus.OK and not media_type.startswith(_EVENT_STREAM)


def _not_modified(start: Message) -> Message:
    """Return the beginning of a 304 in place of that of a 200."""
    headers = MutableHeaders(raw=list(start["headers"]))
    for name in ("content-length", "content-type", "content-disposition"):
        del headers[name]
    headers.add_vary_header("Accept-Encoding")
    return {**start, "status": int(HTTPStatus.NOT_MODIFIED), "headers": headers.raw}
