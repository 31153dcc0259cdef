"""Whether the operator still sees and reaches the cluster: asked of the API server each time."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError
from typing import Any, Final, Protocol

from sensorpipe_operator.cluster import ClusterError
from sensorpipe_operator.mirror import Mirror
from sensorpipe_operator.names import Body, key_of

DEAF_AFTER_SECONDS: Final = 120.0
_ANSWER_SECONDS: Final = 5.0

log = logging.getLogger(__name__)


class Asks(Protocol):
    """Where a Sensor can be had."""

    async def first_sensor(self, namespace: str | None) -> Body | None:
        """Return any one Sensor."""


class Health:
    """Answers probes.

    Ready: the API server answers. Alive: the loop turns, and what the API server answers was
    heard from the watch too, at the latest two minutes after it was first seen. An API server
    that does not answer is no reason to start the operator again.
    """

    def __init__(
        self,
        cluster: Asks,
        mirror: Mirror,
        namespaces: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._mirror = mirror
        self._namespaces = namespaces
        self._clock = clock
        self._behind_since: float | None = None
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
            behind = await self._look()
        except ClusterError:
            return True
        if not behind:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = self._clock()
        deaf = self._behind_since is not None
        return not deaf or self._clock() - (self._behind_since or 0.0) < DEAF_AFTER_SECONDS

    async def _look(self) -> bool:
        """Return whether a Sensor is newer than the mirror has it."""
        found = await self._cluster.first_sensor(next(iter(self._namespaces), None))
        if found is None:
            return False
        held = self._mirror.version(key_of(found))
        return held is None or held < int(found["metadata"]["resourceVersion"])

    def _ask(self, question: Coroutine[Any, Any, bool]) -> bool:
        future = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return future.result(_ANSWER_SECONDS)
        except (TimeoutError, CancelledError):  # the latter while the watches begin anew
            future.cancel()
            return False
