"""JSON answers: dates in RFC 3339 with Z, numbers that JSON cannot hold as null."""

from typing import Any

import msgspec
from starlette.responses import Response

_encode = msgspec.json.Encoder().encode


def json(content: Any) -> Response:
    """Return a JSON answer."""
    return Response(_encode(content), media_type="application/json")
