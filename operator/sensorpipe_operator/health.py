"""Answers the probes: whether the API server responds, and whether the cache follows it."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError
from typing import Any, Final, Protocol

from sensorpipe_operator.cache import Cache, Namespaces
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.names import Body, Key, key_of

STALE_AFTER_SECONDS: Final = 120.0
"""Seconds the cache may lag behind the API server before the operator is unhealthy."""
_PROBE_SECONDS: Final = 5.0
"""Time limit for the answer to a probe."""
_API_SECONDS: Final = 4.0
"""Time limit for the API server's response during a probe; later ones count as none."""

log = logging.getLogger(__name__)


class SensorReader(Protocol):
    """The requests to the API server that this module needs; both raise ApiError."""

    async def first_sensor(self, namespace: str | None) -> Body | None:
        """Return any one Sensor of a namespace, or of the cluster; None if there are none."""

    async def find_sensor(self, namespace: str, name: str) -> Body | None:
        """Return a Sensor, or None if it does not exist."""


class Health:
    """Answers the readiness and the liveness probe.

    Ready: the API server responds, and the operator has access to all its namespaces. Alive:
    the event loop runs, and the cache is at most two minutes behind the API server. For that,
    each probe compares a Sensor chosen at random, and the same one again while it is behind. An
    API server that does not respond is no reason to restart the operator.
    """

    def __init__(
        self,
        api: SensorReader,
        cache: Cache,
        namespaces: Namespaces,
        *,
        silence: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        choose: Callable[[Sequence[Key]], Key] = random.choice,
    ) -> None:
        self._api = api
        self._cache = cache
        self._namespaces = namespaces
        self._silence = silence
        self._clock = clock
        self._choose = choose
        self._behind: tuple[Key, float] | None = None
        """A Sensor that is outdated in the cache, and since when by `clock`."""
        self._loop = asyncio.get_running_loop()

    def ready(self) -> bool | str:
        """Whether the API server responds, or which namespaces cannot be read.

        To be called from another thread than the event loop's; takes at most 5 s.
        """
        if refused := self._namespaces.refused:
            return f"no access to these namespaces: {', '.join(refused)}"
        return self._run(self.api_server_responds())

    def alive(self) -> bool:
        """Whether the event loop runs and the cache is current.

        To be called from another thread than the event loop's; takes at most 5 s.
        """
        return self._run(self.cache_is_current())

    async def api_server_responds(self) -> bool:
        """Whether the API server responds."""
        try:
            await self._compare()
        except ApiError as error:
            log.warning("The API server does not respond", extra={"error": str(error)})
            return False
        return True

    async def cache_is_current(self) -> bool:
        """Whether the cache is at most two minutes behind the API server, if that responds."""
        try:
            async with asyncio.timeout(_API_SECONDS):
                await self._compare()
        except (ApiError, TimeoutError):
            return True
        if self._behind is None or self._clock() - self._behind[1] < STALE_AFTER_SECONDS:
            return True
        fields = {"sensor": "/".join(self._behind[0]), "silence_seconds": round(self._silence())}
        log.error("The watch cache is stale", extra=fields)
        return False

    async def _compare(self) -> None:
        """Compare one Sensor in the cache with the API server's."""
        cached = self._cache.sensors()
        if self._behind is not None and self._behind[0][0] in self._namespaces.refused:
            self._behind = None  # it cannot be read, so its newest version is unknown
        if self._behind is not None:
            key, since = self._behind
            found = await self._api.find_sensor(*key)
        elif cached:
            key, since = self._choose(cached), self._clock()
            found = await self._api.find_sensor(*key)
        else:
            found = await self._api.first_sensor(next(iter(self._namespaces.accessible), None))
            if found is None:
                return
            key, since = key_of(found), self._clock()
        self._behind = (key, since) if self._is_behind(key, found) else None

    def _is_behind(self, key: Key, found: Body | None) -> bool:
        cached = self._cache.version(key)
        if found is None:
            return cached is not None
        return cached is None or cached < int(found["metadata"]["resourceVersion"])

    def _run(self, check: Coroutine[Any, Any, bool]) -> bool:
        """Run a check on the event loop; False if it takes too long."""
        future = asyncio.run_coroutine_threadsafe(check, self._loop)
        try:
            return future.result(_PROBE_SECONDS)
        except (TimeoutError, CancelledError):  # the latter while the watches are restarted
            future.cancel()
            return False
