"""Keeps the compactor's Feeds, and their status, as the Feeds of all namespaces are."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Protocol

import aiohttp
from sensorpipe_runtime.throttled_log import ThrottledLogger

from sensorpipe_operator.cache import Cache, Namespaces
from sensorpipe_operator.feeds.compactor import ask, choose_pod
from sensorpipe_operator.feeds.feed_status import (
    NUMBERS_SECONDS,
    Rates,
    build_feed_status,
    differs_only_in_numbers,
)
from sensorpipe_operator.feeds.merge import Merged, file_name, merge
from sensorpipe_operator.feeds.nudge import Nudge
from sensorpipe_operator.feeds.verdicts import Answer, readiness
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.metrics import OperatorMetrics
from sensorpipe_operator.names import FEEDS_ANNOTATION, Body, Key, Kind, key_of
from sensorpipe_operator.owners import Owners
from sensorpipe_operator.settings import FeedSettings
from sensorpipe_operator.status.events import events_for
from sensorpipe_operator.status.status import is_same

POLL_SECONDS: Final = 5.0
"""Seconds between two questions to the compactor."""

HURRIED_SECONDS: Final = 1.0
"""The same while it does not have all Feeds yet."""

_SETTLE_SECONDS: Final = 0.2
"""Pause after a change, since several Feeds are often applied together."""
_WRITES_AT_ONCE: Final = 10
_GONE: Final = (404, 409)

log = logging.getLogger(__name__)


class FeedApi(Protocol):
    """The requests to the API server that this module needs; every method raises ApiError."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        """Return an object."""

    async def apply_data(self, namespace: str, name: str, data: dict[str, str]) -> None:
        """Apply the data of a ConfigMap."""

    async def pods(self, namespace: str, selector: str) -> list[Body]:
        """Return the pods that a label selector matches."""

    async def annotate_pod(self, pod: Body, name: str, value: str) -> None:
        """Set an annotation of a pod."""

    async def apply_status(
        self, body: Body, status: dict[str, Any], kind: Kind, *, unchanged: bool
    ) -> Body:
        """Apply the operator's fields of an object's status; return the object.

        If it is to be `unchanged`, ApiError has status 409 where it has another version.
        """

    async def post_event(self, event: Body) -> None:
        """Create an Event."""


Ask = Callable[[Body | None], Awaitable[Answer]]
"""Asks the compactor in a pod, or says why there is no answer; raises nothing."""


class FeedKeeper:
    """Writes the Feeds in use into a ConfigMap, and each Feed's status as the compactor reports."""

    def __init__(
        self,
        api: FeedApi,
        cache: Cache,
        namespaces: Namespaces,
        *,
        settings: FeedSettings,
        owners: Owners,
        metrics: OperatorMetrics,
        clock: Callable[[], datetime],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._cache = cache
        self._namespaces = namespaces
        self._settings = settings
        self._owners = owners
        self._own: set[Key] = set()
        """The Feeds that are not another release's, as of the last look."""
        self._metrics = metrics
        self._clock = clock
        self._steady = steady
        self._written: dict[str, str] | None = None
        """The ConfigMap's files as last written or read; None if that is to be found out."""
        self._merged = Merged()
        self._is_stale = True
        """Whether Feeds have changed since they were merged."""
        self._unreadable: tuple[str, ...] = ()
        """Namespaces that could not be read then."""
        self._numbers_at: dict[Key, float] = {}
        self._rates = Rates()
        self._nudge = Nudge()
        self._trouble = ThrottledLogger(log, on_change=False)
        self.is_behind = False
        """Whether the compactor does not have all Feeds yet, as far as is known."""

    @property
    def refused(self) -> int:
        """Number of Feeds that are not accepted."""
        return sum(not verdict.holds for verdict in list(self._merged.accepted.values()))

    async def run(self) -> None:
        """Look at each change and at intervals until cancelled; it may be run again."""
        await self._cache.is_filled.wait()
        self._written = None  # another operator may have acted since
        try:
            async with aiohttp.ClientSession(trust_env=False) as session:
                while True:
                    await self.look(lambda pod: ask(session, pod))
                    await self._pause()
        finally:
            self._merged, self.is_behind = Merged(), False

    async def _pause(self) -> None:
        """Wait until Feeds have changed or the compactor is to be asked again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HURRIED_SECONDS if self.is_behind else POLL_SECONDS):
                await self._cache.feeds_changed.wait()
                await asyncio.sleep(_SETTLE_SECONDS)

    async def look(self, asking: Ask) -> None:
        """Bring ConfigMap and status up to date once; failures are logged, and tried again."""
        if self._cache.feeds_changed.is_set():
            self._cache.feeds_changed.clear()
            self._is_stale = True
        try:
            await self._look(asking)
        except ApiError as error:
            self._written, self.is_behind = None, False
            self._metrics.errors.labels(error.reason).inc()
            self._trouble.warning("Feeds cannot be kept up to date", error=str(error))
        except Exception:  # a malformed object; the others' turn must come again
            self._written, self.is_behind = None, False
            self._metrics.errors.labels("Internal").inc()
            log.exception("Feeds cannot be kept up to date")
        else:
            self._trouble.resolved("Feeds are kept up to date again")

    async def _look(self, asking: Ask) -> None:
        assert self._settings.config_map is not None  # noqa: S101  else there is no keeper
        namespace, name = self._settings.config_map
        bodies = await self._own_feeds()
        unreadable = self._namespaces.refused
        if self._written is None or self._is_stale or unreadable != self._unreadable:
            self._unreadable = unreadable
            former = await self._former() if self._written is None else self._written
            self._merged = merge(bodies, former, unreadable)
            if self._merged.files != former:
                await self._api.apply_data(namespace, name, self._merged.files)
                self._metrics.writes.labels(Kind.CONFIG_MAP).inc()
            self._written, self._is_stale = self._merged.files, False
        merged = self._merged
        pod, answer = await self._ask(asking)
        self.is_behind = pod is not None and not answer.is_current(merged)
        if pod is not None and self.is_behind:
            await self._hurry(pod)
        else:
            self._nudge.done()
        await self._report(bodies, answer)

    async def _own_feeds(self) -> list[Body]:
        """Return the Feeds that are not another release's, and note whether others are now."""
        found = []
        for body in self._cache.feeds():
            other = await self._owners.other(key_of(body), _mark(body))
            if other is None:
                found.append(body)
            else:
                self._owners.note(key_of(body), other)
        own = {key_of(body) for body in found}
        self._is_stale |= own != self._own
        self._own = own
        return found

    async def _ask(self, asking: Ask) -> tuple[Body | None, Answer]:
        """Return the compactor's pod, and what it answers."""
        assert self._settings.config_map is not None  # noqa: S101  as above
        try:
            pods = await self._api.pods(self._settings.config_map[0], self._settings.pods)
        except ApiError as error:
            return None, Answer(None, f"its pod cannot be found: {error}")
        pod = choose_pod(pods)
        return pod, await asking(pod)

    async def _former(self) -> dict[str, str]:
        """Return the files that the ConfigMap has."""
        assert self._settings.config_map is not None  # noqa: S101  as above
        try:
            found = await self._api.get(Kind.CONFIG_MAP, *self._settings.config_map)
        except ApiError as error:
            if error.status not in _GONE:
                raise
            return {}
        return dict(found.get("data") or {})

    async def _hurry(self, pod: Body) -> None:
        """Have the kubelet bring the ConfigMap's files to the pod at once.

        It looks at a pod's ConfigMaps where the pod is changed, and else about once a minute.
        """
        annotation = pod["metadata"].get("annotations", {}).get(FEEDS_ANNOTATION, "")
        value = self._nudge.value(self._merged.digest, annotation, self._steady())
        if value is None:
            return
        with suppress(ApiError):  # a pod that is gone; the next look finds another
            await self._api.annotate_pod(pod, FEEDS_ANNOTATION, value)
        if self._nudge.attempts > 1:
            self._written = None  # somebody may have changed the ConfigMap

    async def _report(self, bodies: Sequence[Body], answer: Answer) -> None:
        """Write each Feed's status that has changed."""
        keys = {key_of(body) for body in bodies}
        self._rates.keep(keys)
        for key in set(self._numbers_at) - keys:
            del self._numbers_at[key]
        limit = asyncio.Semaphore(_WRITES_AT_ONCE)

        async def report(body: Body) -> None:
            async with limit:
                await self._report_one(body, answer)

        async with asyncio.TaskGroup() as group:
            for body in bodies:
                if "deletionTimestamp" not in body["metadata"]:
                    group.create_task(report(body))

    async def _report_one(self, body: Body, answer: Answer) -> None:
        key, now = key_of(body), self._steady()
        report = answer.feeds.get(file_name(key))
        rate = None if report is None else self._rates.note(key, report.readings, now)
        ready = readiness(body, self._merged, answer, self._settings.readable)
        verdicts = {"Accepted": self._merged.accepted[key], "Ready": ready}
        own = self._owners.own
        new = build_feed_status(body, verdicts, report, rate, self._clock(), mark=own)
        old = body.get("status", {})
        if is_same(old, new):
            return
        waited = now - self._numbers_at.get(key, -NUMBERS_SECONDS)
        if differs_only_in_numbers(old, new) and waited < NUMBERS_SECONDS:
            return
        self._numbers_at[key] = now
        try:
            claims = bool(own) and _mark(body) != own  # of two that do, one must fail
            stored = await self._api.apply_status(body, new, Kind.FEED, unchanged=claims)
            self._cache.put(Kind.FEED, stored)
            self._metrics.writes.labels("Status").inc()
            for event in events_for(body, old, new, self._clock(), Kind.FEED):
                await self._api.post_event(event)
        except ApiError as error:
            if error.status not in _GONE:  # the Feed was deleted meanwhile
                self._metrics.errors.labels(error.reason).inc()
                self._trouble.warning("A Feed's status cannot be written", error=str(error))


def _mark(body: Body) -> str:
    """Return which release's operator has written a Feed's status; empty for none."""
    return str(body.get("status", {}).get("operator", ""))
