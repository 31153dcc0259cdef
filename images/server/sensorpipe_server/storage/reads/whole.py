"""Reading again what was removed while it was read."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

ATTEMPTS: Final = 3
"""Largest number of times that something is read because part of it was removed meanwhile."""


async def read_whole(
    read: Callable[[], Awaitable[T]], is_whole: Callable[[T], Awaitable[bool]]
) -> T:
    """Return what is read; read again, a few times, if it turns out not to be whole."""
    for _ in range(ATTEMPTS - 1):
        found = await read()
        if await is_whole(found):
            return found
    return await read()
