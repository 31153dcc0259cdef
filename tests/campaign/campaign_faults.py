"""Doing to the running parts what a schedule says, and bringing back what ended by it."""

import asyncio
import signal
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import campaign_parts
import campaign_topic
from campaign_schedule import LASTING
from sensorpipe_cli.runner.child import ChildError
from sensorpipe_compactor.windowing.sources import SOURCE_BYTES
from support import services
from support.stepped_clock import FAKETIME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from campaign_feeds import Feeds
    from campaign_parts import Parts
    from campaign_publisher import Publisher
    from campaign_schedule import Fault
    from sensorpipe_cli.runner.child import Child

STOP_SECONDS: Final = 40
"""For a program to end after SIGTERM; then it is killed."""

_STORE_SECONDS: Final = 30.0
_RESENT: Final = 300
_CROWD: Final = 100
_REMEMBERED: Final = 20
_MORE_PARTITIONS: Final = 2
_NOT_READ: Final = "the server had not read everything"


class Faults:
    """Hits the parts; whatever ends is started again, as Kubernetes would."""

    def __init__(self, parts: "Parts", publisher: "Publisher", feeds: "Feeds") -> None:
        self._parts = parts
        self._feeds = feeds
        self._publisher = publisher
        self._starting = asyncio.Lock()
        self._stored_ms = 0
        self.skipped: list[str] = []
        self.stuck: list[str] = []
        """Faults after which what had to follow did not, within two minutes."""
        self._kinds: dict[str, Callable[[Fault], Awaitable[None]]] = {
            "kill": self._kill,
            "restart": self._restart,
            "stop": self._stop,
            "cut": self._cut,
            "stall": self._stall,
            "step down": self._step_down,
            "second": self._second,
            "clock": self._clock,
            "remake": self._remake,
            "fill disk": self._fill,
            "feed": self._feed,
            "partitions": self._partitions,
            "resend": self._resend,
            "expire": self._expire,
            "ahead": self._ahead,
            "forget": self._forget,
            "anew": self._anew,
        }

    async def hit(self, fault: "Fault") -> None:
        """Let the load run for a while, then do it and wait until it is over."""
        await asyncio.sleep(fault.after)  # the load's length, not a synchronization
        if fault.kind in LASTING:
            await self._store_more()
            await campaign_topic.reached(self._parts.bootstrap)  # it may have been ended
        await self._kinds[fault.kind](fault)

    async def _store_more(self) -> None:
        """Let the load run until a further window is stored, for half a minute at most."""
        give_up = time.monotonic() + _STORE_SECONDS
        before = self._stored_ms
        while self._stored_ms <= before and time.monotonic() < give_up:
            await asyncio.sleep(0.5)
            with suppress(OSError):  # the server is being started again
                self._stored_ms = await asyncio.to_thread(campaign_parts.stored, self._parts.api)

    async def revive(self) -> None:
        """Start again whatever has ended, once a second, until cancelled."""
        while True:
            async with self._starting:
                for child in list(self._parts.children.values()):
                    if child.returncode is not None:
                        await self._start(child)
            await asyncio.sleep(1)

    async def _start(self, child: "Child") -> None:
        await child.start()
        if child.name == "mongodb":
            # it looks for itself in the replica set only now, and through the proxy
            with suppress(ChildError):
                await child.listening()
                await asyncio.to_thread(campaign_parts.settle, child.port or 0)

    def _child(self, fault: "Fault") -> "Child":
        return self._parts.children[fault.target]

    @asynccontextmanager
    async def _down(self, name: str) -> "AsyncIterator[None]":
        """Kill a part, and start it again after what the caller does meanwhile."""
        child = self._parts.children[name]
        async with self._starting:
            await child.kill()
            yield
            await child.start()

    @asynccontextmanager
    async def _still(self, name: str) -> "AsyncIterator[None]":
        """Have a part stand still while the caller does something."""
        child = self._parts.children[name]
        child.send(signal.SIGSTOP)
        try:
            yield
        finally:
            child.send(signal.SIGCONT)

    async def _kill(self, fault: "Fault") -> None:
        await self._child(fault).kill()

    async def _restart(self, fault: "Fault") -> None:
        await self._child(fault).stop(STOP_SECONDS)

    async def _stop(self, fault: "Fault") -> None:
        async with self._still(fault.target):
            await asyncio.sleep(fault.seconds)  # how long the fault lasts

    async def _cut(self, fault: "Fault") -> None:
        async with self._starting:
            await self._parts.proxies[fault.target].cut(fault.seconds)

    async def _stall(self, fault: "Fault") -> None:
        async with self._starting:
            await self._parts.proxies[fault.target].stall(fault.seconds)

    async def _step_down(self, fault: "Fault") -> None:
        port = self._child(fault).port or 0
        await asyncio.to_thread(campaign_parts.step_down, port)

    async def _second(self, fault: "Fault") -> None:
        """Run another compactor of the same name; it takes over, and the first ends."""
        second = self._parts.program("compactor", "second")
        await second.start()
        await asyncio.sleep(fault.seconds)  # how long the fault lasts
        await second.stop(STOP_SECONDS)

    async def _clock(self, fault: "Fault") -> None:
        if not self._has_faketime(fault):
            return
        clock = self._parts.clock(fault.target)
        clock.write_text(f"{fault.step:+d}\n")
        await asyncio.sleep(fault.seconds)  # how long the fault lasts
        clock.write_text("+0\n")

    def _has_faketime(self, fault: "Fault") -> bool:
        if not FAKETIME.exists():
            self.skipped.append(f"{fault}: needs Debian's package faketime")
        return FAKETIME.exists()

    async def _remake(self, fault: "Fault") -> None:
        """Remake the topic while the compactor stands still, so that nothing in it is unread."""
        async with self._still("compactor"):
            if not await campaign_topic.remake(self._parts.bootstrap):
                self.skipped.append(f"{fault}: {_NOT_READ}")

    async def _fill(self, fault: "Fault") -> None:
        if not self._parts.disks_can_fill:
            self.skipped.append(f"{fault}: needs root, to mount a disk")
            return
        filler = await asyncio.to_thread(self._parts.fill, fault.target)
        await asyncio.sleep(fault.seconds)  # how long the fault lasts
        filler.unlink()

    async def _feed(self, fault: "Fault") -> None:
        """Do something to a file of Feeds, and wait until the compactor has taken note of it."""
        feeds = self._feeds
        try:
            match fault.target:
                case "add":
                    await feeds.add()
                case "change":
                    await feeds.change()
                case "remove":
                    await feeds.remove()
                case _:
                    await feeds.break_one(fault.seconds)
        except AssertionError as error:
            self.stuck.append(f"{fault}: {error}")

    async def _partitions(self, fault: "Fault") -> None:
        """Give the topic more partitions; the windows of then have partials in old and new ones.

        Aimed at the server, that is away meanwhile, and finds them all at once.
        """
        if fault.target == "topic":
            await self._raise_partitions(fault)
            await self._parts.children["compactor"].stop(STOP_SECONDS)
            return
        compactor = self._parts.children["compactor"]
        async with self._down("server"):
            await compactor.stop(STOP_SECONDS)
            await self._raise_partitions(fault)
            for _ in range(2):
                await compactor.start()
                with suppress(AssertionError):  # it has had its time
                    await self._parts.ready()
                await asyncio.sleep(fault.seconds)  # how long the fault lasts
                await compactor.stop(STOP_SECONDS)

    async def _raise_partitions(self, fault: "Fault") -> None:
        if not await campaign_topic.raise_partitions(self._parts.bootstrap, _MORE_PARTITIONS):
            self.skipped.append(f"{fault}: there are enough")

    async def _resend(self, fault: "Fault") -> None:
        """Send again what was acknowledged long ago, to a compactor that has just started."""
        async with self._down("compactor"):
            self._publisher.resend(_RESENT, self._stored_ms)
        await asyncio.sleep(fault.seconds)  # how long the fault lasts

    async def _expire(self, fault: "Fault") -> None:
        """Let Kafka delete what the server has read, while the compactor is away."""
        async with self._still("compactor"):
            if not await campaign_topic.expire(self._parts.bootstrap):
                self.skipped.append(f"{fault}: {_NOT_READ}")
                return
            await self._resend(fault)

    async def _ahead(self, fault: "Fault") -> None:
        """Start the compactor with a clock that is ahead, then with one that is right."""
        if not self._has_faketime(fault):
            return
        clock = self._parts.clock("compactor")
        clock.write_text(f"{fault.step:+d}\n")
        async with self._down("compactor"):
            pass
        await self._parts.children["compactor"].listening()
        await asyncio.sleep(fault.seconds)  # how long the fault lasts
        async with self._down("compactor"):
            clock.write_text("+0\n")

    async def _forget(self, fault: "Fault") -> None:
        """Have a compactor of little memory see many sources, and then all of them again."""
        self._parts.source_bytes.write_text(f"{_REMEMBERED * SOURCE_BYTES}\n")
        async with self._down("compactor"):
            self._publisher.crowd(_CROWD)
        await asyncio.sleep(fault.seconds)  # how long the fault lasts
        await self._resend(fault)

    async def _anew(self, fault: "Fault") -> None:
        """Begin Kafka anew once the server has read it all; MongoDB keeps what it has."""
        async with self._still("compactor"):
            if not await campaign_topic.is_read(self._parts.bootstrap):
                self.skipped.append(f"{fault}: {_NOT_READ}")
                return
            async with self._down("kafka"):
                await asyncio.to_thread(services.empty_kafka, self._parts.disks["kafka"])
            await self._parts.children["kafka"].listening()
            await self._resend(fault)
