"""Makes the cluster what a Sensor says: the same work whatever happened."""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Protocol

from sensorpipe_schema.sensor import Sensor, SensorError

from sensorpipe_operator import builders, events
from sensorpipe_operator.cluster import ClusterError
from sensorpipe_operator.conditions import Verdict
from sensorpipe_operator.diagnosis import PATIENCE_SECONDS
from sensorpipe_operator.drift import covers
from sensorpipe_operator.metrics import OperatorMetrics
from sensorpipe_operator.mirror import Mirror
from sensorpipe_operator.names import Body, Key, deployment_name
from sensorpipe_operator.pods import divides_otherwise, shares
from sensorpipe_operator.settings import GeneratorSettings
from sensorpipe_operator.status import ACCEPTED, readiness, refused, status
from sensorpipe_operator.work import WorkQueue

_GONE: Final = 404
_CONFLICT: Final = 409

log = logging.getLogger(__name__)


class Writes(Protocol):
    """What is written through, and read where the mirror is not enough."""

    async def apply(self, body: Body, *, force: bool) -> Body:
        """Apply a child."""

    async def get(self, kind: str, namespace: str, name: str) -> Body:
        """Return an object."""

    async def find_sensor(self, namespace: str, name: str) -> Body | None:
        """Return a Sensor if it is there."""

    async def delete(self, body: Body) -> None:
        """Delete a child."""

    async def patch_status(self, sensor: Body, status: dict[str, Any]) -> Body:
        """Write a Sensor's status."""

    async def post_event(self, event: Body) -> None:
        """Tell an event."""


class NameTakenError(Exception):
    """An object that is not the Sensor's has the name that one of its children needs."""


class Reconciler:
    """Compares what a Sensor needs with the mirror, and writes the difference."""

    def __init__(
        self,
        cluster: Writes,
        mirror: Mirror,
        queue: WorkQueue,
        *,
        settings: GeneratorSettings,
        metrics: OperatorMetrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._mirror = mirror
        self._queue = queue
        self._settings = settings
        self._metrics = metrics
        self._clock = clock

    async def reconcile(self, key: Key) -> bool:
        """Bring one Sensor's children and status up to date; False if it has to be tried again."""
        body = self._mirror.sensor(key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            return True  # the garbage collector does the rest
        began = time.monotonic()
        try:
            done = await self._reconcile(key, body)
        except ClusterError as error:
            done = error.status == _GONE  # the Sensor went while it was worked on
            if not done:
                self._metrics.errors.labels(error.reason).inc()
                fields = {"sensor": "/".join(key), "error": str(error)}
                log.warning("not reconciled, will be tried again", extra=fields)
        except Exception:
            done = False
            self._metrics.errors.labels("Internal").inc()
            log.exception("not reconciled, will be tried again", extra={"sensor": "/".join(key)})
        self._metrics.reconciled(time.monotonic() - began, done=done)
        return done

    async def _reconcile(self, key: Key, body: Body) -> bool:
        try:
            sensor = Sensor.parse(body)
        except SensorError as error:
            kept = Verdict("NotAccepted", "What ran before goes on until the Sensor is sound")
            await self._report(key, body, None, accepted=refused(error), ready=kept)
            return True
        accepted, failed = ACCEPTED, None
        try:
            await self._converge(key, body, sensor)
        except NameTakenError as error:
            failed = Verdict("NameTaken", str(error))
        except ClusterError as error:
            if not error.is_final or _is_about_namespace(error):
                raise
            failed = _refusal(error)
        ready = failed or self._readiness(key, sensor)
        if ready.reason == "Starting":
            self._queue.add_after(key, PATIENCE_SECONDS)
        await self._report(key, body, sensor, accepted=accepted, ready=ready)
        return failed is None

    async def _converge(self, key: Key, body: Body, sensor: Sensor) -> None:
        """Delete and apply children until they are what the Sensor needs.

        Where the devices are divided anew, no pod starts before all former ones have ended:
        so no device is ever two pods'.
        """
        uid = body["metadata"]["uid"]
        pods = self._mirror.children(key, "Pod").values()
        held = any(divides_otherwise(pod, sensor) for pod in pods)
        desired = builders.children(sensor, uid, self._settings, held=held)
        names = {child["metadata"]["name"] for child in desired}
        for name, live in self._mirror.children(key, "Deployment").items():
            if name not in names and _is_owned(live, uid):
                await self._cluster.delete({**live, "kind": "Deployment"})
        confirmed = "observedGeneration" not in body.get("status", {})
        for child in desired:
            kind, name = child["kind"], child["metadata"]["name"]
            live_child = self._mirror.children(key, kind).get(name)
            if live_child is None and not confirmed:
                await self._confirm(key, uid)
                confirmed = True
            if live_child is None or not covers(live_child, child):
                self._mirror.put(kind, await self._apply(child, live_child, uid))
                self._metrics.writes.labels(kind).inc()

    async def _confirm(self, key: Key, uid: str) -> None:
        """Make sure that a Sensor whose child is missing is still there itself.

        Nobody says which is told first, that the Sensor went or that the garbage collector
        took its children: these would be made again, and taken again.
        """
        found = await self._cluster.find_sensor(*key)
        if found is None or found["metadata"]["uid"] != uid:
            self._mirror.forget(key)
            if found is not None:
                self._mirror.put("Sensor", found)
                self._queue.add(key)
            raise ClusterError(_GONE, "NotFound", "the Sensor is gone")

    async def _apply(self, child: Body, live: Body | None, uid: str) -> Body:
        """Apply a child, over others' changes to it but never over what is somebody else's."""
        metadata = child["metadata"]
        kind, name = child["kind"], metadata["name"]
        if live is not None:
            return await self._cluster.apply(child, force=True)
        try:
            return await self._cluster.apply(child, force=False)
        except ClusterError as error:
            if error.status != _CONFLICT:
                raise
            found = await self._cluster.get(kind, metadata["namespace"], name)
            if not _is_owned(found, uid):
                text = f"{kind} {name} is there already and does not belong to this Sensor"
                raise NameTakenError(text) from error
            return await self._cluster.apply(child, force=True)

    def _readiness(self, key: Key, sensor: Sensor) -> Verdict:
        pods = self._mirror.children(key, "Pod").values()
        return readiness(sensor, self._deployments(key, sensor), list(pods), self._clock())

    def _deployments(self, key: Key, sensor: Sensor | None) -> list[Body]:
        held = self._mirror.children(key, "Deployment")
        if sensor is None:
            return list(held.values())
        names = (deployment_name(sensor.name, share) for share in range(shares(sensor)))
        return [held[name] for name in names if name in held]

    async def _report(
        self, key: Key, body: Body, sensor: Sensor | None, *, accepted: Verdict, ready: Verdict
    ) -> None:
        """Write the status if it changed, and tell an event if that is one."""
        deployments = self._deployments(key, sensor)
        now = self._clock()
        new = status(body, sensor, deployments, accepted=accepted, ready=ready, now=now)
        former = body.get("status", {})
        if new == {name: former.get(name) for name in new}:
            return
        self._mirror.put("Sensor", await self._cluster.patch_status(body, new))
        self._metrics.writes.labels("Status").inc()
        for event in events.of_change(body, former, new, now):
            await self._tell(event)

    async def _tell(self, event: Body) -> None:
        try:
            await self._cluster.post_event(event)
        except ClusterError as error:  # the condition says the same
            log.warning("event not posted", extra={"error": str(error)})


def _is_owned(live: Body, uid: str) -> bool:
    owners = live["metadata"].get("ownerReferences", [])
    return any(owner.get("uid") == uid for owner in owners)


def _is_about_namespace(error: ClusterError) -> bool:
    return "is being terminated" in error.message


def _refusal(error: ClusterError) -> Verdict:
    """Say that the API server does not take a child."""
    if "exceeded quota" in error.message:
        return Verdict("QuotaExceeded", "A quota of the namespace is used up", error.message)
    return Verdict("ChildRefused", "The cluster refuses what the Sensor needs", error.message)
