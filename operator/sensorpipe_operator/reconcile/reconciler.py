"""Reconciles Sensors: brings their children and status in line with their specs."""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Protocol

from sensorpipe_schema.sensor import Sensor, SensorError

from sensorpipe_operator.cache import Cache
from sensorpipe_operator.desired.builders import build_children
from sensorpipe_operator.desired.drift import matches
from sensorpipe_operator.desired.ownership import is_owned
from sensorpipe_operator.desired.pods import has_outdated_share, shares
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.metrics import OperatorMetrics
from sensorpipe_operator.names import Body, Key, Kind, deployment_name
from sensorpipe_operator.owners import LOOK_SECONDS, Owners, mark_of_children
from sensorpipe_operator.reconcile.children import (
    ChildApi,
    NameTakenError,
    OtherOperatorError,
    delete_surplus,
    write_child,
)
from sensorpipe_operator.settings import GeneratorSettings
from sensorpipe_operator.status.conditions import Verdict
from sensorpipe_operator.status.diagnosis import REPORT_AFTER_SECONDS
from sensorpipe_operator.status.events import events_for, left_alone
from sensorpipe_operator.status.status import ACCEPTED, build_status, invalid, is_same, readiness
from sensorpipe_operator.workqueue import WorkQueue

_GONE: Final = 404

log = logging.getLogger(__name__)


class ReconcileApi(ChildApi, Protocol):
    """The requests to the API server that reconciling needs; every method raises ApiError."""

    async def find_sensor(self, namespace: str, name: str) -> Body | None:
        """Return a Sensor, or None if it does not exist."""

    async def apply_status(self, sensor: Body, status: dict[str, Any]) -> Body:
        """Apply the operator's fields of a Sensor's status; return the Sensor."""

    async def post_event(self, event: Body) -> None:
        """Create an Event."""


class Reconciler:
    """Compares the objects a Sensor needs with the cache, and writes what differs."""

    def __init__(
        self,
        api: ReconcileApi,
        cache: Cache,
        queue: WorkQueue,
        *,
        settings: GeneratorSettings,
        owners: Owners,
        metrics: OperatorMetrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._api = api
        self._cache = cache
        self._queue = queue
        self._settings = settings
        self._owners = owners
        self._metrics = metrics
        self._clock = clock

    async def reconcile(self, key: Key) -> bool:
        """Bring one Sensor's children and status up to date; return False if it must be retried.

        Failures are logged and counted, and never raised.
        """
        body = self._cache.sensor(key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            self._owners.forget(key)
            return True  # the garbage collector deletes the children
        start = time.monotonic()
        try:
            done = await self._reconcile(key, body)
        except ApiError as error:
            done = error.status == _GONE  # the Sensor was deleted meanwhile
            if not done:
                self._metrics.errors.labels(error.reason).inc()
                fields = {"sensor": "/".join(key), "error": str(error)}
                log.warning("Reconciliation failed and will be retried", extra=fields)
        except Exception:
            done = False
            self._metrics.errors.labels("Internal").inc()
            fields = {"sensor": "/".join(key)}
            log.exception("Reconciliation failed and will be retried", extra=fields)
        self._metrics.reconciled(time.monotonic() - start, done=done)
        return done

    async def _reconcile(self, key: Key, body: Body) -> bool:
        mark = self._mark(key, body)
        other = await self._owners.other(key, mark)
        try:
            if other is None:
                return await self._keep(key, body, mark)
        except OtherOperatorError as error:  # another one was quicker
            other = str(error)
        self._queue.add_after(key, LOOK_SECONDS)
        if self._owners.note(key, other):
            await self._post_event(left_alone(body, other, self._clock()))
        return True

    def _mark(self, key: Key, body: Body) -> str:
        """Return which release's operator has made what the Sensor has; empty if that is open."""
        config_map = self._cache.child(key, Kind.CONFIG_MAP, key[1])
        deployments = self._cache.children(key, Kind.DEPLOYMENT).values()
        return mark_of_children(body["metadata"]["uid"], config_map, deployments)

    async def _keep(self, key: Key, body: Body, mark: str) -> bool:
        """Bring a Sensor that is this operator's up to date, whose children have a mark."""
        try:
            sensor = Sensor.parse(body, strict=False)
        except SensorError as error:
            ready = Verdict("NotAccepted", "The old generators continue until the Sensor is valid")
            await self._report(key, body, None, accepted=invalid(error), ready=ready)
            return True
        failure = None
        try:
            await self._converge(key, body, sensor, mark)
        except NameTakenError as error:
            failure = Verdict("NameTaken", str(error))
        except ApiError as error:
            if not error.is_final or _is_namespace_terminating(error):
                raise
            failure = _rejection(error)
        ready = failure or self._readiness(key, body, sensor)
        if ready.reason == "Starting":
            self._queue.add_after(key, REPORT_AFTER_SECONDS)
        await self._report(key, body, sensor, accepted=ACCEPTED, ready=ready)
        return failure is None

    async def _converge(self, key: Key, body: Body, sensor: Sensor, mark: str) -> None:
        """Delete, create and apply children until they match the desired ones.

        While pods of another number of shares run, no new pod is started: otherwise two pods
        could have the same device.
        """
        uid = body["metadata"]["uid"]
        pods = self._cache.children(key, Kind.POD).values()
        paused = any(has_outdated_share(pod, sensor) for pod in pods)
        own = self._owners.own
        desired = build_children(sensor, uid, self._settings, paused=paused, mark=own)
        names = {child["metadata"]["name"] for child in desired}
        for name, live in self._cache.children(key, Kind.DEPLOYMENT).items():
            if name not in names:
                await delete_surplus(self._api, live, desired[0])
        checked = "observedGeneration" not in body.get("status", {})
        for child in desired:
            kind, name = Kind(child["kind"]), child["metadata"]["name"]
            cached = self._cache.child(key, kind, name)
            if cached is None and not checked:
                await self._check_exists(key, uid)
                checked = True
            if cached is None or not matches(cached, child):
                known = cached is not None
                stored, written = await write_child(self._api, child, cached=known, mark=mark)
                self._cache.put(kind, stored)
                self._metrics.writes.labels(kind).inc(written)

    async def _check_exists(self, key: Key, uid: str) -> None:
        """Raise ApiError with status 404 if a Sensor whose child is missing was deleted.

        The watches may report that the garbage collector deleted the children before they
        report that the Sensor was deleted: the children would be created again.
        """
        found = await self._api.find_sensor(*key)
        if found is None or found["metadata"]["uid"] != uid:
            self._cache.drop_sensor(key)
            if found is not None:  # a new Sensor of the same name
                self._cache.put(Kind.SENSOR, found)
                self._queue.add(key)
            raise ApiError(_GONE, "NotFound", "the Sensor was deleted")

    def _readiness(self, key: Key, body: Body, sensor: Sensor) -> Verdict:
        pods = self._cache.children(key, Kind.POD).values()
        deployments = self._deployments(key, body, sensor)
        return readiness(sensor, deployments, list(pods), self._clock())

    def _deployments(self, key: Key, body: Body, sensor: Sensor | None) -> list[Body]:
        """Return the Deployments that the Sensor owns; others may have its children's labels."""
        uid, cached = body["metadata"]["uid"], self._cache.children(key, Kind.DEPLOYMENT)
        owned = {name: live for name, live in cached.items() if is_owned(live, uid)}
        if sensor is None:
            return list(owned.values())
        names = (deployment_name(sensor.name, share) for share in range(shares(sensor)))
        return [owned[name] for name in names if name in owned]

    async def _report(
        self, key: Key, body: Body, sensor: Sensor | None, *, accepted: Verdict, ready: Verdict
    ) -> None:
        """Write the status if it changed, and create the Events for the change."""
        deployments = self._deployments(key, body, sensor)
        now = self._clock()
        new = build_status(body, sensor, deployments, accepted=accepted, ready=ready, now=now)
        old = body.get("status", {})
        if is_same(old, new):
            return
        self._cache.put(Kind.SENSOR, await self._api.apply_status(body, new))
        self._metrics.writes.labels("Status").inc()
        for event in events_for(body, old, new, now, Kind.SENSOR):
            await self._post_event(event)

    async def _post_event(self, event: Body) -> None:
        try:
            await self._api.post_event(event)
        except ApiError as error:  # the condition has the same message
            log.warning("Event not created", extra={"error": str(error)})


def _is_namespace_terminating(error: ApiError) -> bool:
    return "is being terminated" in error.message


def _rejection(error: ApiError) -> Verdict:
    """Return the verdict on a Sensor of which the API server rejected a child."""
    if "exceeded quota" in error.message:
        return Verdict("QuotaExceeded", "A quota of the namespace is used up", error.message)
    return Verdict("ChildRefused", "The API server rejects a child of the Sensor", error.message)
