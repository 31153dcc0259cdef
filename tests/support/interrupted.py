"""Work that is killed, or sees something happen, where it waits for the n-th time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from typing import Any


class Interrupted:
    """Awaitable: does work, and calls `then` at the `at`-th wait; without `then` it ends there."""

    def __init__(
        self,
        work: Coroutine[Any, Any, Any],
        at: int,
        then: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        self._work = work
        self._at = at
        self._then = then
        self.waits = 0
        """How often the work has waited."""

    def __await__(self) -> Generator[Any, Any, bool]:
        """Return whether the work came to its end before."""
        step: Callable[[], Any] = lambda: self._work.send(None)  # noqa: E731
        while True:
            try:
                future = step()
            except StopIteration:
                return self.waits < self._at
            except asyncio.CancelledError:
                return False
            step = lambda: self._work.send(None)  # noqa: E731
            self.waits += 1
            if self.waits == self._at:
                if self._then is None:
                    step = lambda: self._work.throw(asyncio.CancelledError())  # noqa: E731
                    continue
                yield from self._then().__await__()
            yield future


async def interrupted_everywhere(
    prepare: Callable[[], Awaitable[Any]],
    work: Callable[[], Coroutine[Any, Any, Any]],
    then: Callable[[], Awaitable[Any]] | None = None,
    step: int = 1,
) -> AsyncGenerator[bool]:
    """Prepare, and do work that is interrupted, for each `step`-th wait of it.

    Yields after each time whether the work came to its end before; this is then the last one.
    """
    at, ended = 1, False
    while not ended:
        await prepare()
        ended = await Interrupted(work(), at, then)
        yield ended
        at += step
