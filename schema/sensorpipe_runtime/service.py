"""Runs the tasks of a program: none of them ends unnoticed."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

Work = Mapping[str, Coroutine[Any, Any, object]]
"""Coroutines by the name of the task that runs each."""

_log = logging.getLogger(__name__)


class TaskEndedError(Exception):
    """A task that must run until the program stops has returned or was cancelled by itself."""

    def __init__(self, task: str, how: str) -> None:
        super().__init__(f"the task {task!r} {how} although nothing asked it to end")
        self.task = task


def is_being_cancelled() -> bool:
    """Whether somebody cancelled the current task.

    A CancelledError while this is False is the inner affair of something that was
    awaited: a library that awaits a task which it has cancelled itself
    (aio-libs/aiokafka#647).
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def is_our_cancellation(error: BaseException) -> bool:
    """Whether an error is the cancellation of the current task, which must be passed on."""
    return isinstance(error, asyncio.CancelledError) and is_being_cancelled()


async def supervise(
    main: Work, background: Work | None = None, *, may_end: Callable[[], bool] = lambda: False
) -> None:
    """Run coroutines side by side, and return when all of `main` have ended as they may.

    Tasks of `main` may return once `may_end()` is true. Those of `background` never
    may; they are cancelled at the end. Raises TaskEndedError where a task returns
    before it may, or is cancelled by anything but this; raises the exception of the
    first task that fails. No task is left running, also where this is cancelled.
    """
    endless = {_task(name, work) for name, work in (background or {}).items()}
    running = {_task(name, work) for name, work in main.items()}
    tasks = endless | running
    try:
        while running:
            ended, _ = await asyncio.wait(running | endless, return_when=asyncio.FIRST_COMPLETED)
            _look_at(ended, endless, may_end=may_end())
            running -= ended
    finally:
        await _cancel(tasks)


def _task(name: str, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
    return asyncio.create_task(work, name=name)


def _look_at(
    ended: set[asyncio.Task[object]], endless: set[asyncio.Task[object]], *, may_end: bool
) -> None:
    """Raise what is wrong with the tasks that have ended; log what cannot be raised, too."""
    problems = [
        problem
        for task in sorted(ended, key=asyncio.Task.get_name)
        if (problem := _problem(task, may_return=may_end and task not in endless)) is not None
    ]
    problems.sort(key=lambda problem: isinstance(problem, TaskEndedError))  # causes come first
    for other in problems[1:]:
        _log.error("Another task ended, too", extra={"error": repr(other)})
    if problems:
        raise problems[0]


def _problem(task: asyncio.Task[object], *, may_return: bool) -> BaseException | None:
    if task.cancelled():
        return TaskEndedError(task.get_name(), "was cancelled")
    if (error := task.exception()) is not None:
        return error
    return None if may_return else TaskEndedError(task.get_name(), "returned")


async def _cancel(tasks: set[asyncio.Task[object]]) -> None:
    """Cancel what still runs, and wait for its end; errors of the end are logged."""
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    for error in await asyncio.gather(*left, return_exceptions=True):
        if isinstance(error, Exception):
            _log.error("A task failed while it was ended", extra={"error": repr(error)})
