"""JSON answers: dates in RFC 3339 with Z, numbers that JSON cannot hold as null."""

from typing import Any

import msgspec
from bson import Int64
from starlette.responses import Response


def _plain(value: object) -> int:
    """Return an integer over 32 bits, of which BSON makes a class of its own."""
    if isinstance(value, Int64):
        return int(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


def json(content: Any) -> Response:
    """Return a JSON answer."""
    return Response(_encode(content), media_type="application/json")
