"""Doing to the running parts what a schedule says, and bringing back what ended by it."""

import asyncio
import signal
from typing import TYPE_CHECKING

import campaign_parts
import campaign_topic

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from campaign_parts import Parts
    from campaign_schedule import Fault
    from sensorpipe_cli.child import Child

_STOP_SECONDS = 40


class Faults:
    """Hits the parts; whatever ends is started again, as Kubernetes would."""

    def __init__(self, parts: "Parts") -> None:
        self._parts = parts
        self.skipped: list[str] = []
        self._kinds: dict[str, Callable[[Fault], Awaitable[None]]] = {
            "kill": self._kill,
            "restart": self._restart,
            "stop": self._stop,
            "cut": lambda fault: parts.proxies[fault.target].cut(fault.seconds),
            "stall": lambda fault: parts.proxies[fault.target].stall(fault.seconds),
            "step down": self._step_down,
            "second": self._second,
            "clock": self._clock,
            "remake": self._remake,
            "fill disk": self._fill,
        }

    async def hit(self, fault: "Fault") -> None:
        """Let the load run for a while, then do it and wait until it is over."""
        await asyncio.sleep(fault.after)  # the load's length, not a synchronization
        await self._kinds[fault.kind](fault)

    async def revive(self) -> None:
        """Start again whatever has ended, once a second, until cancelled."""
        while True:
            for child in list(self._parts.children.values()):
                if child.returncode is not None:
                    await child.start()
            await asyncio.sleep(1)

    def _child(self, fault: "Fault") -> "Child":
        return self._parts.children[fault.target]

    async def _kill(self, fault: "Fault") -> None:
        await self._child(fault).kill()

    async def _restart(self, fault: "Fault") -> None:
        await self._child(fault).stop(_STOP_SECONDS)

    async def _stop(self, fault: "Fault") -> None:
        child = self._child(fault)
        child.send(signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)  # how long the fault lasts
        child.send(signal.SIGCONT)

    async def _step_down(self, fault: "Fault") -> None:
        port = self._child(fault).port or 0
        await asyncio.to_thread(campaign_parts.step_down, port)

    async def _second(self, fault: "Fault") -> None:
        """Run another compactor of the same name; it takes over, and the first ends."""
        second = self._parts.program("compactor", "second")
        await second.start()
        await asyncio.sleep(fault.seconds)  # how long the fault lasts
        await second.stop(_STOP_SECONDS)

    async def _clock(self, fault: "Fault") -> None:
        if not campaign_parts.FAKETIME.exists():
            self.skipped.append(f"{fault}: needs Debian's package faketime")
            return
        clock = self._parts.clock(fault.target)
        clock.write_text(f"{fault.step:+d}\n")
        await asyncio.sleep(fault.seconds)  # how long the fault lasts
        clock.write_text("+0\n")

    async def _remake(self, fault: "Fault") -> None:
        """Remake the topic while the compactor stands still, so that nothing in it is unread."""
        compactor = self._parts.children["compactor"]
        compactor.send(signal.SIGSTOP)
        try:
            bootstrap = f"127.0.0.1:{self._parts.children['kafka'].port}"
            if not await campaign_topic.remake(bootstrap):
                self.skipped.append(f"{fault}: the server had not read everything")
        finally:
            compactor.send(signal.SIGCONT)

    async def _fill(self, fault: "Fault") -> None:
        if not self._parts.disks_can_fill:
            self.skipped.append(f"{fault}: needs root, to mount a disk")
            return
        filler = await asyncio.to_thread(self._parts.fill, fault.target)
        await asyncio.sleep(fault.seconds)  # how long the fault lasts
        filler.unlink()
