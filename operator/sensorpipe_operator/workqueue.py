"""The queue of Sensors to reconcile: each is in it once, however often it was added."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from sensorpipe_runtime.liveness import Progress

from sensorpipe_operator.names import Key

_FIRST_RETRY_SECONDS: Final = 0.5
"""Time after which a key is retried after its first failure."""
_MAX_RETRY_SECONDS: Final = 60.0
"""Longest time between two attempts for a key."""


class WorkQueue:
    """A set of keys in the order they were added, with exponential backoff for each.

    It holds at most one entry for each Sensor. A key added while a worker processes it is
    queued once more afterwards; no two workers process the same key at the same time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.progress = Progress(lambda: bool(self._waiting), clock=clock)
        """Progress is made while the queue is empty, or keys are taken or finished."""
        self._waiting: dict[Key, None] = {}
        self._processing: set[Key] = set()
        self._added_again: set[Key] = set()
        """Keys added while a worker processes them."""
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._not_empty = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._added_again)

    def add(self, key: Key) -> None:
        """Queue a Sensor now."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._processing:
            self._added_again.add(key)
        else:
            self._waiting[key] = None
            self._not_empty.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Queue a Sensor after so many seconds, unless that is planned or `add` comes first."""
        if key not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(seconds, self.add, key)

    async def run_worker(self, process: Callable[[Key], Awaitable[bool]]) -> None:
        """Process keys one after the other until cancelled.

        A key for which `process` returns False is retried after 0.5 s, doubled with each
        failure in a row up to 60 s. An exception of `process` ends the worker. A key that is
        processed when the worker is cancelled stays in the queue.
        """
        while True:
            key = await self._next()
            try:
                done = await process(key)
            except asyncio.CancelledError:
                self._added_again.add(key)
                raise
            finally:
                self._processing.discard(key)
                self.progress.moved()
                if key in self._added_again:
                    self._added_again.discard(key)
                    self.add(key)
            if done:
                self._failures.pop(key, None)
            else:
                self._retry(key)

    async def _next(self) -> Key:
        while not self._waiting:
            self._not_empty.clear()
            await self._not_empty.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._processing.add(key)
        self.progress.moved()
        return key

    def _retry(self, key: Key) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(_MAX_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 20))
        # jitter, so that keys which failed together are not retried together
        self.add_after(key, pause * random.uniform(0.75, 1.25))  # noqa: S311  not for secrets
