"""Waiting: longer after each failure, and never beyond the request to stop."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Backoff:
    """Pauses that double from `first` to `longest` seconds, each shortened at random."""

    def __init__(self, first: float = 0.1, longest: float = 5.0) -> None:
        self._first = self._next = first
        self._longest = longest

    def next(self) -> float:
        """Return the seconds to wait now."""
        pause = self._next
        self._next = min(2 * pause, self._longest)
        return pause * random.uniform(0.5, 1)  # noqa: S311  no secret, only spread

    def reset(self) -> None:
        """Begin with short pauses again."""
        self._next = self._first


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of `work`; cancel it and return None once `stop` is set."""
    tasks: tuple[asyncio.Task[T], asyncio.Task[bool]] = (
        asyncio.create_task(work),
        asyncio.create_task(stop.wait()),
    )
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].result() if tasks[0].done() else None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
