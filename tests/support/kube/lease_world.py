"""Operators that share a Lease on virtual time, and an API server between them that can fail."""

import asyncio
import random
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.lease.election import Election
from sensorpipe_operator.lease.lease_keeper import LeaseKeeper
from sensorpipe_operator.names import Body

NAME = ("sensorpipe", "sensorpipe-operator")
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STEP_SECONDS = 0.1
"""How often `World.watch` looks at who acts."""


class LeaseServer:
    """Keeps a Lease as an API server does: a write must name the version that it replaces."""

    def __init__(self) -> None:
        self.lease: Body | None = None
        self.writes: list[dict[str, Any]] = []
        """The specs written."""
        self._version = 0

    def read(self) -> Body | None:
        return deepcopy(self.lease)

    def write(self, body: Body) -> Body:
        version = body["metadata"].get("resourceVersion")
        present = None if self.lease is None else self.lease["metadata"]["resourceVersion"]
        if version != present:
            raise ApiError(409, "Conflict" if version else "AlreadyExists", "another version")
        self._version += 1
        self.lease = deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self._version)
        self.writes.append(body["spec"])
        return deepcopy(self.lease)


class Line:
    """One operator's way to the server: the requests of LeaseApi."""

    def __init__(self, server: LeaseServer, chance: random.Random | None = None) -> None:
        self._server = server
        self._chance = chance
        self.is_cut = False
        """Whether no request reaches the server."""
        self.loses_answers = False
        """Whether requests reach it, and nothing comes back."""

    async def find_lease(self, namespace: str, name: str) -> Body | None:
        assert (namespace, name) == NAME
        await self._pass()
        found = self._server.read()
        await self._return()
        return found

    async def write_lease(self, body: Body) -> Body:
        await self._pass()
        made = self._server.write(body)
        await self._return()
        return made

    async def _pass(self) -> None:
        await self._travel()
        if self.is_cut:
            await asyncio.sleep(3600)

    async def _return(self) -> None:
        await self._travel()
        if self.loses_answers or self.is_cut:
            await asyncio.sleep(3600)

    async def _travel(self) -> None:
        """Take some time: mostly little, now and then more than a look may."""
        if self._chance is not None:
            slow = self._chance.random() < 0.02
            await asyncio.sleep(self._chance.uniform(0, 8 if slow else 0.3))


class SimulatedOperator:
    """Runs a LeaseKeeper; `acts` is whether what only one may do is running."""

    def __init__(
        self,
        world: "World",
        identity: str,
        *,
        clock_ahead: float = 0,
        chance: random.Random | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.world = world
        self.line = Line(world.server, chance)
        self.election = Election(identity, lambda: loop.time() + clock_ahead)
        self.keeper = LeaseKeeper(
            self.line,
            NAME,
            self.election,
            clock=lambda: loop.time() + clock_ahead,
            now=lambda: NOON + timedelta(seconds=loop.time() + clock_ahead),
            uniform=world.jitter.uniform,
        )
        self.acts = False
        self.began: list[float] = []
        """When it began to act."""
        self.ended: list[float] = []
        self._tasks = [
            asyncio.create_task(self.keeper.run()),
            asyncio.create_task(self.keeper.act_while_held(self._act)),
        ]

    @property
    def is_running(self) -> bool:
        return any(not task.done() for task in self._tasks)

    async def kill(self) -> None:
        """End it as SIGKILL does: the Lease stays as it is."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.election.see(None)
        self.election.release("")

    async def terminate(self) -> None:
        """End it as SIGTERM does."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.keeper.release()

    async def _act(self) -> None:
        loop = asyncio.get_running_loop()
        self.acts = True
        self.began.append(loop.time())
        try:
            await asyncio.Event().wait()
        finally:
            self.acts = False
            self.ended.append(loop.time())


class World:
    """An API server and the operators that use it."""

    def __init__(self) -> None:
        self.server = LeaseServer()
        self.operators: list[SimulatedOperator] = []
        self.jitter = random.Random(0)

    def start(
        self, identity: str, *, clock_ahead: float = 0, chance: random.Random | None = None
    ) -> SimulatedOperator:
        made = SimulatedOperator(self, identity, clock_ahead=clock_ahead, chance=chance)
        self.operators.append(made)
        return made

    def acting(self) -> list[str]:
        return [each.election.identity for each in self.operators if each.acts]

    async def watch(self, seconds: float) -> dict[str, float]:
        """Let time pass, and return for how long each acted; there are never two that may."""
        shares: dict[str, float] = {}
        for _ in range(round(seconds / STEP_SECONDS)):
            await asyncio.sleep(STEP_SECONDS)
            leading = [each for each in self.operators if each.election.leads]
            assert len(leading) <= 1
            assert len(self.acting()) <= 1
            for name in self.acting() or [""]:
                shares[name] = shares.get(name, 0) + STEP_SECONDS
        return shares

    async def end(self) -> None:
        for each in self.operators:
            await each.kill()
