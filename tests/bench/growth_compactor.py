"""The compactor as it is, with a ticker in its event loop that notes how late the loop runs it.

On SIGUSR1 it writes to the file BENCH_LATENESS, in milliseconds, the longest lateness so far, and
the most CPU of the loop's thread between two ticks: others had the processor where that is far
less. The third number is how many seconds after the start that was. On SIGUSR2 it ends the ticker,
whose wake-ups are most of what an idle compactor does.
"""

import asyncio
import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Final

from sensorpipe_compactor.__main__ import run
from sensorpipe_compactor.settings import Settings
from sensorpipe_runtime.service import configured, run_service, tune_garbage_collection

_STEP: Final = 0.005


class Ticker:
    """Wakes every 5 ms."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._longest = self._cpu = self._cpu_at = 0.0
        self._began = time.perf_counter()
        self._due = self._cpu_before = 0.0
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Tick until SIGUSR2."""
        self._loop.add_signal_handler(signal.SIGUSR1, self._write)
        self._loop.add_signal_handler(signal.SIGUSR2, self._stop)
        self._schedule()

    def _schedule(self) -> None:
        self._due = time.perf_counter() + _STEP
        self._cpu_before = time.thread_time()
        self._next = self._loop.call_later(_STEP, self._tick)

    def _tick(self) -> None:
        self._longest = max(self._longest, time.perf_counter() - self._due)
        cpu = time.thread_time() - self._cpu_before
        if cpu > self._cpu:
            self._cpu, self._cpu_at = cpu, time.perf_counter() - self._began
        self._schedule()

    def _write(self) -> None:
        with self._file.open("a") as file:
            file.write(json.dumps([self._longest * 1000, self._cpu * 1000, self._cpu_at]) + "\n")

    def _stop(self) -> None:
        if self._next is not None:
            self._next.cancel()


async def _watched(settings: Settings, stop: asyncio.Event) -> int:
    Ticker(Path(os.environ["BENCH_LATENESS"])).start()
    return await run(settings, stop)


with configured("sensorpipe-compactor", Settings.read) as given:
    tune_garbage_collection()
    sys.exit(run_service(partial(_watched, given)))
