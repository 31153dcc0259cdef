"""Waiting: longer after each failure, and never beyond the request to stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from sensorpipe_schema.backoff import Backoff

T = TypeVar("T")


def pauses() -> Backoff:
    """Return pauses that grow to 5 s: data waits for each of them."""
    return Backoff(longest=5.0, least=0.5)


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
