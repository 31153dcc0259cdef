"""Takes and renews the operator's Lease, and runs what only its holder may do."""

import asyncio
import logging
import random
import socket
import time
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from sensorpipe_runtime.aio import first_of
from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.lease.election import RETRY_SECONDS, Claim, Election
from sensorpipe_operator.names import Body

_LOOK_SECONDS: Final = 5.0
"""Time limit for one attempt: there is time for a second one before the holder must stop."""
_JITTER: Final = 0.2
"""Part by which the pause of those that wait varies, so that they do not ask together."""

log = logging.getLogger(__name__)


class LeaseApi(Protocol):
    """The requests to the API server that this module needs; every method raises ApiError."""

    async def find_lease(self, namespace: str, name: str) -> Body | None:
        """Return a Lease, or None if it does not exist."""

    async def write_lease(self, body: Body) -> Body:
        """Create a Lease, or replace exactly the version that has the body's resource version."""


class LeaseKeeper:
    """Holds a Lease, or waits for it, until cancelled."""

    def __init__(
        self,
        api: LeaseApi,
        name: tuple[str, str],
        election: Election,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._api = api
        self._name = name
        self._election = election
        self._clock = clock
        self._now = now
        self._uniform = uniform
        self._body: Body | None = None
        """The Lease as last read or written; None if that is to be found out."""
        self._changed = asyncio.Event()
        """Set after each attempt."""
        self._trouble = ThrottledLogger(log, on_change=False)
        self._holder: str | None = None
        """The holder as last logged."""

    async def run(self) -> None:
        """Take or renew the Lease every 2 s until cancelled."""
        while True:
            await self.look()
            pause = RETRY_SECONDS
            if not self._election.leads:
                pause *= self._uniform(1, 1 + _JITTER)
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """Try once to take or renew the Lease; a failure is logged, and the next look retries."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._take_or_renew()
        except (ApiError, TimeoutError) as error:
            self._body = None
            self._trouble.warning("The Lease cannot be kept", error=str(error) or "no response")
        except Exception:  # a malformed response, of a proxy perhaps; the attempts must go on
            self._body = None
            log.exception("The Lease cannot be kept")
        else:
            self._trouble.resolved("The Lease is kept again")
            self._log_holder()
        self._changed.set()

    async def act_while_held(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `act` anew each time the Lease is held, and cancel it before another can act.

        Raises what `act` raises; it must not return.
        """
        while True:
            await self._until(leads=True)
            if await first_of(act(), self._until(leads=False)) == 0:
                return
            log.warning("This operator waits: it could not renew the Lease, or another has it")

    async def release(self) -> None:
        """Let another operator act at once; to be called when this one has stopped acting."""
        claim, body = self._election.release(self._text()), self._body
        if claim is None or body is None:
            return
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._api.write_lease(_with(body, claim))
        except (ApiError, TimeoutError) as error:
            log.warning("The Lease was not released", extra={"error": str(error) or "no response"})

    async def _take_or_renew(self) -> None:
        if self._body is None or not self._election.leads:
            self._body = await self._api.find_lease(*self._name)
            self._election.see(None if self._body is None else _claim(self._body))
        claim = self._election.wanted(self._text())
        if claim is None:
            return
        namespace, name = self._name
        empty: Body = {"metadata": {"namespace": namespace, "name": name}}
        began = self._clock()
        self._body = await self._api.write_lease(_with(self._body or empty, claim))
        self._election.written(claim, began)

    async def _until(self, *, leads: bool) -> None:
        """Return once this operator leads, or no longer does."""
        while self._election.leads is not leads:
            self._changed.clear()
            limit = None if leads else self._election.seconds_left
            with suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await self._changed.wait()

    def _log_holder(self) -> None:
        holder = self._election.holder
        if holder != self._holder:
            acts = holder == self._election.identity
            log.info("This operator acts" if acts else "Another operator acts", extra=_of(holder))
            self._holder = holder

    def _text(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_identity() -> str:
    """Return a name for this process that no other has: its host, which is its pod, and a UUID."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


def _of(holder: str) -> dict[str, str]:
    return {"holder": holder}


def _claim(body: Body) -> Claim:
    """Return what a Lease says; the chart creates it without `spec`: nobody holds it."""
    spec = body.get("spec") or {}
    return Claim(
        holder=spec.get("holderIdentity") or "",
        seconds=spec.get("leaseDurationSeconds") or 0,
        acquired=spec.get("acquireTime") or "",
        renewed=spec.get("renewTime") or "",
        transitions=spec.get("leaseTransitions") or 0,
    )


def _with(body: Body, claim: Claim) -> Body:
    """Return a Lease with a claim, and else as it is."""
    spec = {
        **(body.get("spec") or {}),
        "holderIdentity": claim.holder,
        "leaseDurationSeconds": claim.seconds,
        "acquireTime": claim.acquired,
        "renewTime": claim.renewed,
        "leaseTransitions": claim.transitions,
    }
    if not claim.holder:
        del spec["holderIdentity"]
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": body["metadata"],
        "spec": spec,
    }
