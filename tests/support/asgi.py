"""ASGI applications made of a few pieces, and their answers as they are sent."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass
class Sent:
    """An answer: status, headers and the pieces of its body, in the order they were sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces)


def pieces(
    *body: bytes,
    status: int = 200,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> ASGIApp:
    """Return an application that answers with these pieces; one has a Content-Length."""
    fields = {"content-type": media_type, **(headers or {})}
    if len(body) == 1:
        fields["content-length"] = str(len(body[0]))
    raw = [(name.encode(), value.encode()) for name, value in fields.items()]

    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(raw)})
        if len(body) == 1:
            await send({"type": "http.response.body", "body": body[0]})
            return
        for each in body:
            await send({"type": "http.response.body", "body": each, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return answer


async def answer_of(
    app: ASGIApp,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    path: str = "/",
) -> Sent:
    """Return what an application sends in answer to a request."""
    sent, received = Sent(), list[bool]()
    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": raw}

    async def receive() -> Message:
        if received:
            await asyncio.Event().wait()  # the client stays
        received.append(True)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            sent.status = message["status"]
            sent.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            sent.pieces.append(message.get("body", b""))

    await app(scope, receive, send)
    return sent
