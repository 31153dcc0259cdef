"""JSON answers: dates in RFC 3339 with Z, numbers that JSON cannot hold as null."""

import asyncio
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, TypeVar, cast

import msgspec
from bson import Int64
from starlette.responses import Response

T = TypeVar("T")

AT_ONCE: Final = 50
"""Number of items of a list that are encoded before other tasks run: some 1 ms of work."""


def _plain(value: object) -> int:
    """Return an integer over 32 bits, which BSON decodes to a class of its own."""
    if isinstance(value, Int64):
        return int(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer")


encode: Final = msgspec.json.Encoder(enc_hook=_plain).encode
"""Returns the JSON of an answer, or of a part of one."""


def json(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    return Response(encode(content), headers=headers, media_type="application/json")


def raw(item: T) -> T:
    """Return the JSON of a part of an answer, which stands for it in the answer."""
    return cast("T", msgspec.Raw(encode(item)))


async def encoded(items: Iterable[T]) -> list[T]:
    """Return the JSON of a list, which stands for it in an answer; other tasks run meanwhile."""
    parts: list[bytes] = []
    left = iter(items)
    while some := list(islice(left, AT_ONCE)):
        parts.append(encode(some)[1:-1])
        await asyncio.sleep(0)
    return cast("list[T]", msgspec.Raw(b"[%b]" % b",".join(parts)))
