"""Whether the operator still sees and reaches the cluster: asked of the API server each time."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError
from typing import Any, Final, Protocol

from sensorpipe_operator.cluster import ClusterError
from sensorpipe_operator.mirror import Mirror
from sensorpipe_operator.names import Body, Key, key_of

DEAF_AFTER_SECONDS: Final = 120.0
_ANSWER_SECONDS: Final = 5.0
_API_SECONDS: Final = 4.0
"""Of these for the API server: one that keeps a probe waiting does not answer either."""

log = logging.getLogger(__name__)


class Asks(Protocol):
    """Where Sensors can be had."""

    async def first_sensor(self, namespace: str | None) -> Body | None:
        """Return any one Sensor."""

    async def find_sensor(self, namespace: str, name: str) -> Body | None:
        """Return a Sensor if it is there."""


class Health:
    """Answers probes.

    Ready: the API server answers. Alive: the loop turns, and what the API server answers was
    heard from the watch too, at the latest two minutes after it was first seen: each probe asks
    for a Sensor at random, and for the same one again while it is behind. An API server that
    does not answer is no reason to start the operator again.
    """

    def __init__(
        self,
        cluster: Asks,
        mirror: Mirror,
        namespaces: Sequence[str],
        *,
        silence: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        choose: Callable[[Sequence[Key]], Key] = random.choice,
    ) -> None:
        self._cluster = cluster
        self._mirror = mirror
        self._namespaces = namespaces
        self._silence = silence
        self._clock = clock
        self._choose = choose
        self._behind: tuple[Key, float] | None = None
        """A Sensor of which the mirror does not know the newest, and since when."""
        self._loop = asyncio.get_running_loop()

    def ready(self) -> bool:
        """Whether the API server answers; called from another thread."""
        return self._ask(self.reaches())

    def alive(self) -> bool:
        """Whether the operator hears what happens; called from another thread."""
        return self._ask(self.hears())

    async def reaches(self) -> bool:
        """Whether the API server answers."""
        try:
            await self._look()
        except ClusterError as error:
            log.warning("the API server does not answer", extra={"error": str(error)})
            return False
        return True

    async def hears(self) -> bool:
        """Whether the mirror follows what the API server says."""
        try:
            async with asyncio.timeout(_API_SECONDS):
                await self._look()
        except (ClusterError, TimeoutError):
            return True
        if self._behind is None or self._clock() - self._behind[1] < DEAF_AFTER_SECONDS:
            return True
        fields = {"sensor": "/".join(self._behind[0]), "silence_seconds": round(self._silence())}
        log.error("the watches do not tell what the API server knows", extra=fields)
        return False

    async def _look(self) -> None:
        """Compare a Sensor with what the mirror has of it."""
        known = self._mirror.sensors()
        if self._behind is not None:
            key, since = self._behind
            found = await self._cluster.find_sensor(*key)
        elif known:
            key, since = self._choose(known), self._clock()
            found = await self._cluster.find_sensor(*key)
        else:
            found = await self._cluster.first_sensor(next(iter(self._namespaces), None))
            if found is None:
                return
            key, since = key_of(found), self._clock()
        self._behind = (key, since) if self._is_behind(key, found) else None

    def _is_behind(self, key: Key, found: Body | None) -> bool:
        held = self._mirror.version(key)
        if found is None:
            return held is not None
        return held is None or held < int(found["metadata"]["resourceVersion"])

    def _ask(self, question: Coroutine[Any, Any, bool]) -> bool:
        future = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return future.result(_ANSWER_SECONDS)
        except (TimeoutError, CancelledError):  # the latter while the watches begin anew
            future.cancel()
            return False
