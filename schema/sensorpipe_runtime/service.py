"""Runs a program: settings, signals, and its tasks, of which none ends unnoticed."""

import asyncio
import gc
import logging
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

import uvloop

from sensorpipe_runtime import logs
from sensorpipe_runtime.aio import stop_on_signals
from sensorpipe_runtime.settings import exit_on_settings_error

CANCEL_AGAIN_SECONDS = 10.0
"""Seconds after which a task that was cancelled and still runs is cancelled again."""

_YOUNG: Final = 10_000
"""Objects allocated before a collection of the youngest generation: about one batch of packets or
documents. Python's default of 700 took a third of the CPU time of receiving; 50,000 held up the
event loop for 16 ms where many are kept."""

Work = Mapping[str, Coroutine[Any, Any, object]]
"""Coroutines by the name of the task that runs each."""

log = logging.getLogger(__name__)


class LogSettings(Protocol):
    """Settings that say what to log."""

    @property
    def log_level(self) -> str:
        """Least severe level that is logged."""
        ...


S = TypeVar("S", bound=LogSettings)
T = TypeVar("T")


@contextmanager
def configured(program: str, read: Callable[[Mapping[str, str]], S]) -> Iterator[S]:
    """Read the settings of a program from the environment, and set up its logs.

    A SettingsError, also one that is raised inside, exits with status 1 and its text.
    """
    with exit_on_settings_error(program):
        settings = read(os.environ)
        logs.setup(program, settings.log_level)
        yield settings


def tune_garbage_collection() -> None:
    """Exclude all present objects from later garbage collections, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)


def run_service(serve: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
    """Return what `serve` returns, run on an event loop of its own.

    SIGTERM and SIGINT set the event that it gets: it finishes what it has begun, and returns.
    """

    async def until_stopped() -> T:
        stop = asyncio.Event()
        stop_on_signals(stop)
        return await serve(stop)

    result: T = uvloop.run(until_stopped())
    return result


class TaskEndedError(Exception):
    """A task that must run until the program stops has returned, or was cancelled from inside."""

    def __init__(self, task: str, how: str) -> None:
        super().__init__(f"the task {task!r} {how} before it was asked to end")
        self.task = task


async def supervise(
    main: Work, background: Work | None = None, *, may_end: Callable[[], bool] = lambda: False
) -> None:
    """Run coroutines concurrently, and return when all of `main` have returned.

    Tasks of `main` may return once `may_end()` is true. Those of `background` must never
    return; they are cancelled at the end. Raises TaskEndedError if a task returns too early
    or is cancelled by anything else, and the exception of the first task that fails. No task
    is left running, also where this is cancelled, or cancelled again.
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
        was_interrupted = await _cancel(tasks)
    if was_interrupted:
        raise asyncio.CancelledError


def _task(name: str, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
    return asyncio.create_task(work, name=name)


def _look_at(
    ended: set[asyncio.Task[object]], endless: set[asyncio.Task[object]], *, may_end: bool
) -> None:
    """Raise the first problem of the tasks that have ended; log the others."""
    problems = [
        problem
        for task in sorted(ended, key=asyncio.Task.get_name)
        if (problem := _problem(task, may_return=may_end and task not in endless)) is not None
    ]
    problems.sort(key=lambda problem: isinstance(problem, TaskEndedError))  # causes come first
    for other in problems[1:]:
        log.error("Another task ended as well", extra={"error": repr(other)})
    if problems:
        raise problems[0]


def _problem(task: asyncio.Task[object], *, may_return: bool) -> BaseException | None:
    if task.cancelled():
        return TaskEndedError(task.get_name(), "was cancelled")
    if (error := task.exception()) is not None:
        return error
    return None if may_return else TaskEndedError(task.get_name(), "returned")


async def _cancel(tasks: set[asyncio.Task[object]]) -> bool:
    """Cancel the tasks that still run, and wait for their end; log how they fail.

    A library can swallow a cancellation, so that its task goes on: such a task is cancelled again.
    So are all that still run where this is cancelled itself; return whether it was.
    """
    was_cancelled = False
    ended = left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        try:
            _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_SECONDS)
        except asyncio.CancelledError:
            was_cancelled = True
            left = {task for task in left if not task.done()}
            continue
        for task in left:
            log.warning("A cancelled task still runs", extra={"task": task.get_name()})
    for task in ended:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A task failed during its cancellation", extra={"error": repr(error)})
    return was_cancelled
