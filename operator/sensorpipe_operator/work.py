"""Which Sensors are to be looked at: each once, however often it was named."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

from sensorpipe_operator.names import Key

_FIRST_RETRY: Final = 0.5
_LAST_RETRY: Final = 60.0


class WorkQueue:
    """A set of keys in the order they came, with a growing pause after each failure of one.

    It holds at most one entry for each Sensor. A key named again while somebody works on it
    comes once more afterwards; no two workers have the same key.
    """

    def __init__(self) -> None:
        self._waiting: dict[Key, None] = {}
        self._worked_on: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._again)

    def add(self, key: Key) -> None:
        """Have a Sensor looked at."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._worked_on:
            self._again.add(key)
        else:
            self._waiting[key] = None
            self._filled.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Have a Sensor looked at later, unless it is before."""
        if key not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(seconds, self.add, key)

    async def work(self, do: Callable[[Key], Awaitable[bool]]) -> None:
        """Do what is waiting, one after the other, until cancelled; False means try again."""
        while True:
            key = await self._take()
            try:
                done = await do(key)
            finally:
                self._worked_on.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            if done:
                self._failures.pop(key, None)
            else:
                self._retry(key)

    async def _take(self) -> Key:
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._worked_on.add(key)
        return key

    def _retry(self, key: Key) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(_LAST_RETRY, _FIRST_RETRY * 2 ** min(failures - 1, 20))
        # spread, so that what failed together does not come back together
        self.add_after(key, pause * random.uniform(0.75, 1.25))  # noqa: S311  not for secrets
