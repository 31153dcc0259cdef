"""Keeps issuer and keys of the cluster's tokens in a ConfigMap, for a server without a token."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Final, Protocol

from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_operator.cluster_keys.published import (
    ISSUER_PATH,
    KEYS_PATH,
    UnusableError,
    config_map,
    is_ours,
    pause,
    published,
)
from sensorpipe_operator.desired.drift import matches
from sensorpipe_operator.desired.ownership import created_entry
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.metrics import OperatorMetrics
from sensorpipe_operator.names import Body, Kind
from sensorpipe_operator.settings import ClusterIssuerSettings

_GONE: Final = 404

log = logging.getLogger(__name__)


class KeysApi(Protocol):
    """The requests to the API server that this module needs; every method raises ApiError."""

    async def document(self, path: str) -> Body:
        """Return the JSON document at a path."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        """Return an object including its managed fields; ApiError has status 404 for none."""

    async def create(self, body: Body) -> Body:
        """Create an object."""

    async def take_ownership(self, live: Body, entry: int) -> None:
        """Mark the fields that the operator set by creating an object as applied."""

    async def apply(self, body: Body, uid: str) -> Body:
        """Apply a body to the object of that uid."""


class ForeignError(Exception):
    """The ConfigMap's name is taken by one that is not the operator's."""


class ClusterKeysKeeper:
    """Writes the ConfigMap where what the API server answers has changed, or it has.

    What it holds stays while the API server does not answer, or not with keys.
    """

    def __init__(
        self,
        api: KeysApi,
        *,
        settings: ClusterIssuerSettings,
        every_seconds: float,
        metrics: OperatorMetrics,
        clock: Callable[[], float] = time.monotonic,
        random_part: Callable[[], float] = random.random,
    ) -> None:
        assert settings.issuer_map is not None  # noqa: S101  else there is nothing to keep
        self._api = api
        self._place = settings.issuer_map
        self._owner = settings.owner
        self._every_seconds = every_seconds
        self._metrics = metrics
        self._clock = clock
        self._random_part = random_part
        self._trouble = ThrottledLogger(log, on_change=False)
        self._failures = 0
        self._right_at = clock()

    @property
    def age_seconds(self) -> float:
        """Seconds since the ConfigMap was last known to be right, or since the start."""
        return self._clock() - self._right_at

    @property
    def pause_seconds(self) -> float:
        """Seconds until the next look is due; other at each call."""
        return pause(self._failures, self._every_seconds, self._random_part())

    async def run(self) -> None:
        """Look at intervals until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self.pause_seconds)

    async def look(self) -> None:
        """Bring the ConfigMap up to date once; a failure is logged and counted."""
        try:
            result = "written" if await self._write() else "unchanged"
        except ForeignError as error:
            self._failed("foreign", str(error))
        except (ApiError, UnusableError) as error:
            self._failed("failed", str(error))
        except Exception:  # a malformed object; its next version must be seen
            self._failures += 1
            self._metrics.cluster_key_looks.labels("failed").inc()
            log.exception("The cluster's keys cannot be kept up to date")
        else:
            self._failures, self._right_at = 0, self._clock()
            self._metrics.cluster_key_looks.labels(result).inc()
            self._trouble.resolved("The cluster's keys are kept up to date again")

    async def _write(self) -> bool:
        """Return whether the ConfigMap had to be written."""
        configuration = await self._api.document(ISSUER_PATH)
        data = published(configuration, await self._api.document(KEYS_PATH))
        live = await self._find(Kind.CONFIG_MAP, self._place[1])
        if live is not None and not is_ours(live):
            raise ForeignError(
                f"ConfigMap {'/'.join(self._place)} exists and is not the operator's; it is left "
                "unchanged: delete it"
            )
        owner = await self._find(Kind.DEPLOYMENT, self._owner) if self._owner else None
        desired = config_map(self._place, data, owner)
        if live is not None and matches(live, desired):
            return False
        await self._put(live, desired)
        self._metrics.writes.labels(Kind.CONFIG_MAP).inc()
        log.info("The cluster's keys are written", extra={"config_map": "/".join(self._place)})
        return True

    async def _put(self, live: Body | None, desired: Body) -> None:
        """Create the ConfigMap, or apply it to the one that was read and to no other."""
        if live is None:
            await self._api.create(desired)
            return
        entry = created_entry(live)
        if entry is not None:
            await self._api.take_ownership({**live, "kind": Kind.CONFIG_MAP}, entry)
        await self._api.apply(desired, live["metadata"]["uid"])

    async def _find(self, kind: Kind, name: str) -> Body | None:
        """Return an object of the ConfigMap's namespace; None if there is none."""
        try:
            return await self._api.get(kind, self._place[0], name)
        except ApiError as error:
            if error.status != _GONE:
                raise
            return None

    def _failed(self, result: str, why: str) -> None:
        self._failures += 1
        self._metrics.cluster_key_looks.labels(result).inc()
        self._trouble.warning("The cluster's keys cannot be kept up to date", error=why)
