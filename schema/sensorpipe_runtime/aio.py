"""Waits for whichever of several things ends first, and tells who cancelled a task."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def first_of(*work: Coroutine[Any, Any, object]) -> int:
    """Return the position of whichever finishes first, the leftmost of several.

    The others are cancelled and awaited. Raises what the first one raises.
    """
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = next(number for number, task in enumerate(tasks) if task.done())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    tasks[first].result()
    return first


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` on SIGTERM and SIGINT; replaces the running loop's handlers for both."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def ended_or_stopped(task: asyncio.Task[Any], stop: asyncio.Event) -> bool:
    """Wait until a task has ended or `stop` is set; return whether the task has ended.

    The task is neither cancelled nor its result taken.
    """
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
        return task.done()
    finally:
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)


async def cancel_on(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of `work`, or cancel it and return None once `stop` is set.

    Raises what `work` raises. No task is left running, also where this is cancelled.
    """
    task = asyncio.create_task(work)
    try:
        return task.result() if await ended_or_stopped(task, stop) else None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def is_being_cancelled() -> bool:
    """Whether the current task was cancelled from outside.

    A CancelledError while this is False comes from what was awaited: a library that awaits a
    task which it has cancelled itself (aio-libs/aiokafka#647).
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def is_our_cancellation(error: BaseException) -> bool:
    """Whether an error is the cancellation of the current task, which must be raised again."""
    return isinstance(error, asyncio.CancelledError) and is_being_cancelled()
