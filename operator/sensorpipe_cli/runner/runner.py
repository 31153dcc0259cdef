"""Runs a pipeline: starts it in order, waits until something ends the run, stops it in order."""

import asyncio
import signal
import time
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from sensorpipe_runtime.aio import first_of

from sensorpipe_cli.client.http import RequestError
from sensorpipe_cli.runner.child import ChildError
from sensorpipe_cli.runner.pipeline import Part, Pipeline
from sensorpipe_cli.runner.poller import Poller

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_SETTLE_PERIOD_SECONDS: Final = 0.3
"""Time between two checks whether everything is stored."""
_STOP_SECONDS: Final = 35.0
"""Time for a process to stop; a generator waits up to 30 s for acknowledgements."""
_AFTER_FAILURE_SECONDS: Final = 5.0
"""Time for a process to stop after another one has failed."""


class Interrupts:
    """Set `first` on the first signal (stop in order), `second` on the next (stop at once)."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self.interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number in _SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def interrupt(self) -> None:
        """Set `first`, or `second` if `first` is set already."""
        (self.second if self.first.is_set() else self.first).set()


class Ending(StrEnum):
    """Why a run ended."""

    DONE = "done"
    EARLY = "interrupted before everything was ready"
    AT_ONCE = "stopped at once"
    FAILED = "stopped because a process ended by itself"


class Runner:
    """One run of a pipeline, with its `phase`, its `elapsed` seconds and its `failure_report`."""

    def __init__(self, pipeline: Pipeline, poller: Poller, settle_seconds: float) -> None:
        self.phase = "starting"
        self.failure_report = ""
        """The process that ended by itself, and its last log lines; empty if none did."""
        self._pipeline = pipeline
        self._poller = poller
        self._settle_seconds = settle_seconds
        self._began: float | None = None
        self._ended: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds for which every process was ready; 0 before that."""
        if self._began is None:
            return 0.0
        return (self._ended or time.monotonic()) - self._began

    async def run(self, seconds: float | None, interrupts: Interrupts) -> Ending:
        """Run until the duration ends, an interrupt, or a failure; then stop everything."""
        try:
            ending = await self._run(seconds, interrupts)
            if await first_of(self._stop(ending), interrupts.second.wait()):
                return Ending.AT_ONCE
            return Ending.FAILED if self.failure_report else ending
        finally:
            await self._pipeline.kill()

    async def _run(self, seconds: float | None, interrupts: Interrupts) -> Ending:
        ends = (interrupts.first.wait, self._failed)
        try:
            if await first_of(self._start(), *(end() for end in ends)):
                return Ending.FAILED if self.failure_report else Ending.EARLY
            self._enter("running")
            if self._pipeline.devices_note:
                self._pipeline.events.append(self._pipeline.devices_note)
            self._began = time.monotonic()
            await first_of(_sleep(seconds), *(end() for end in ends))
        except (ChildError, RequestError) as error:
            self.failure_report = self.failure_report or str(error)
        return Ending.FAILED if self.failure_report else Ending.DONE

    async def _start(self) -> None:
        pipeline = self._pipeline
        self._enter("starting the services")
        await pipeline.start(*pipeline.services)
        self._enter("starting server and compactor")
        await pipeline.start(pipeline.server, pipeline.compactor)
        await self._poller.baseline()
        self._enter("starting the generators")  # now that the compactor has subscribed
        await pipeline.start(*pipeline.generators)

    async def _stop(self, ending: Ending) -> None:
        pipeline = self._pipeline
        failed = ending is Ending.FAILED
        grace_seconds = _AFTER_FAILURE_SECONDS if failed else _STOP_SECONDS
        self._ended = time.monotonic()
        self._enter("stopping the generators")
        await pipeline.stop(pipeline.generators, grace_seconds)
        self._poller.final_counters()
        if ending is Ending.DONE:
            self._enter("waiting for the last windows")
            await first_of(self._settle(), self._failed())
        self._enter("stopping compactor and server")
        await pipeline.stop([pipeline.compactor], grace_seconds)
        await pipeline.stop([pipeline.server], grace_seconds)
        self._enter("stopping the services")
        await pipeline.stop(pipeline.services, grace_seconds)
        self._enter("stopped")

    async def _settle(self) -> None:
        """Wait at most `settle_seconds` until every published reading is stored."""
        deadline = time.monotonic() + self._settle_seconds
        while time.monotonic() < deadline:
            if await self._poller.integrity() and self._poller.figures.settled:
                break
            await asyncio.sleep(_SETTLE_PERIOD_SECONDS)
        await self._poller.windows()
        await self._poller.refusals()

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self._pipeline.events.append(phase)

    async def _failed(self) -> None:
        part: Part = await self._pipeline.failure()
        self.failure_report = part.child.exit_report()


async def _sleep(seconds: float | None) -> None:
    if seconds is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(seconds)
