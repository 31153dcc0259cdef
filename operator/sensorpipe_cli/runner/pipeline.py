"""The processes of a run: starting, watching and stopping them."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sensorpipe_cli.client.http import succeeds
from sensorpipe_cli.runner.child import Child, ChildError


class State(StrEnum):
    """The state of a process of the run."""

    WAITING = "waiting"
    """Not started yet."""
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    """Exited without being stopped."""


@dataclass(slots=True)
class Part:
    """A process of the run, with its addresses and its state."""

    child: Child
    address: str
    """Address of the process, as shown in the views."""
    ready_url: str | None = None
    """URL that answers 200 when the process is ready; None if an open port is enough."""
    metrics_url: str | None = None
    """URL of the process's metrics, if it has any."""
    state: State = State.WAITING

    @property
    def name(self) -> str:
        """Name of the process in output and log files."""
        return self.child.name


class Pipeline:
    """All processes of a run; reports the first one that exits without being stopped."""

    def __init__(
        self,
        services: list[Part],
        server: Part,
        compactor: Part,
        generators: list[Part],
        devices: str | None = None,
    ) -> None:
        self.devices = devices
        """Where devices publish, `mqtt://HOST:PORT`; None if the broker is the user's own."""
        self.devices_note = ""
        """Why that is not the usual port, if it is not."""
        self.services = services
        self.server = server
        self.compactor = compactor
        self.generators = generators
        self.events: list[str] = []
        """Events so far, one line each."""
        self._failure: asyncio.Future[Part] = asyncio.get_running_loop().create_future()
        self._watchers: set[asyncio.Task[None]] = set()

    @property
    def parts(self) -> list[Part]:
        """All processes, in the order of starting."""
        return [*self.services, self.server, self.compactor, *self.generators]

    async def failure(self) -> Part:
        """Wait for a process to exit without being stopped, and return it."""
        return await asyncio.shield(self._failure)

    async def start(self, *parts: Part, seconds: float = 60) -> None:
        """Start processes concurrently until all are ready; raise ChildError after `seconds`."""
        try:
            async with asyncio.TaskGroup() as starting:
                for part in parts:
                    starting.create_task(self._start(part, seconds), name=f"start {part.name}")
        except ExceptionGroup as group:
            raise group.exceptions[0] from group

    async def stop(self, parts: Iterable[Part], seconds: float = 15) -> None:
        """Stop processes concurrently; kill those that have not exited after `seconds`."""
        await asyncio.gather(*(self._stop(part, seconds) for part in parts))

    async def kill(self) -> None:
        """Kill every process that still runs."""
        for part in self.parts:
            if part.state not in (State.WAITING, State.STOPPED, State.FAILED):
                self._enter(part, State.STOPPING)
        await asyncio.gather(*(part.child.kill() for part in self.parts))
        await asyncio.gather(*self._watchers)

    async def _start(self, part: Part, seconds: float) -> None:
        self._enter(part, State.STARTING)
        await part.child.start()
        watcher = asyncio.create_task(self._watch(part), name=f"watch {part.name}")
        self._watchers.add(watcher)
        await _ready(part, seconds)
        if part.state is State.STARTING:
            self._enter(part, State.READY)

    async def _watch(self, part: Part) -> None:
        await part.child.wait()
        if part.state is State.STOPPING:
            self._enter(part, State.STOPPED)
            return
        self._enter(part, State.FAILED)
        if not self._failure.done():
            self._failure.set_result(part)

    async def _stop(self, part: Part, seconds: float) -> None:
        if part.state in (State.STARTING, State.READY):
            self._enter(part, State.STOPPING)
        await part.child.stop(seconds)

    def _enter(self, part: Part, state: State) -> None:
        part.state = state
        if state is State.READY:
            self.events.append(f"{part.name}: ready at {part.address}")
        elif state in (State.STOPPED, State.FAILED):
            self.events.append(f"{part.name}: {state}")


async def _ready(part: Part, seconds: float) -> None:
    if part.ready_url is None:
        await part.child.listening(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(succeeds, part.ready_url):
                if part.child.returncode is not None:
                    raise ChildError(part.child.exit_report())
                await asyncio.sleep(0.1)
    except TimeoutError as error:
        raise ChildError(
            f"{part.name} was not ready within {seconds:g} s; "
            f"its last log lines:\n{part.child.tail()}"
        ) from error
