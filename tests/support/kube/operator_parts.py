"""What the operator's tests share: Sensors as an API server hands them out, and a cluster."""

import itertools
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry
from sensorpipe_operator.cache import Cache, Listing
from sensorpipe_operator.generator_pod import GeneratorPod
from sensorpipe_operator.kube_api import ApiError, KubeApi
from sensorpipe_operator.metrics import OperatorMetrics
from sensorpipe_operator.names import MANAGER, Body, Key, Kind
from sensorpipe_operator.owners import Owners
from sensorpipe_operator.reconcile.reconciler import Reconciler
from sensorpipe_operator.settings import GeneratorSettings
from sensorpipe_operator.workqueue import WorkQueue
from sensorpipe_schema.sensor import API_VERSION, Sensor

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
KEY: Key = ("plant", "boiler")
SETTINGS = GeneratorSettings(
    image="generator:1",
    pull_policy="IfNotPresent",
    pull_secrets=(),
    broker_secret="broker",
    broker_ca_key="",
    log_level="INFO",
    pod=GeneratorPod(),
)


def sensor_body(**spec: Any) -> Body:
    """Return a Sensor as it is in a cluster, defaults and all."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Sensor",
        "metadata": {
            "name": "boiler",
            "namespace": "plant",
            "uid": "u-1",
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": {
            "facility": "boiler_1",
            "count": 4,
            "interval": "2s",
            "seed": 0,
            "replicas": 1,
            "suspend": False,
            "measurements": [{"name": "temperature", "signal": {"constant": {"value": 20}}}],
            **spec,
        },
    }


async def listed(api: KubeApi, kind: Kind, namespace: str | None) -> list[Body]:
    """Return all objects of a kind that concern the operator."""
    return [body async for page, _ in api.pages(kind, namespace) for body in page]


def replace_all(
    cache: Cache, kind: Kind, bodies: Iterable[Body], version: int, namespace: str | None = None
) -> set[Key]:
    """Store a complete list of a kind, as a resync does; return the keys of what has changed."""
    listing = Listing(cache, kind, namespace)
    changed = {listing.put(body) for body in bodies}
    return {key for key in changed | set(listing.end(version)) if key is not None}


def sensor(**spec: Any) -> Sensor:
    return Sensor.parse(sensor_body(**spec))


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class FakeCluster:
    """Holds objects as an API server would: created, applied, with versions and managers."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Body] = {}
        self.writes: list[tuple[str, str]] = []
        self.events: list[Body] = []
        self.refuse: dict[str, ApiError] = {}
        self.leases: set[tuple[str, str]] = set()
        """Those of the releases that are installed."""
        self._versions = itertools.count(100)

    async def create(self, body: Body) -> Body:
        kind, name = body["kind"], body["metadata"]["name"]
        self._may("create", kind)
        if (kind, name) in self.objects:
            raise ApiError(409, "AlreadyExists", f'"{name}" already exists')
        return self._write(body, {"uid": f"u-{kind}-{name}", "generation": 1}, "Update")

    async def apply(self, body: Body, uid: str, version: str | None = None) -> Body:
        kind, name = body["kind"], body["metadata"]["name"]
        self._may("apply", kind)
        held = self.objects.get((kind, name))
        if held is None or held["metadata"]["uid"] != uid:
            raise ApiError(409, "Conflict", "uid mismatch")
        if version not in (None, held["metadata"]["resourceVersion"]):
            raise ApiError(409, "Conflict", "the object has been modified")
        kept = {"uid": uid, "generation": held["metadata"]["generation"] + 1}
        made = self._write(body, kept, "Apply")
        if held["metadata"]["managedFields"][0]["operation"] == "Update":
            made["data"] = {**held.get("data", {}), **made.get("data", {})}  # never removed
            self.objects[kind, name]["data"] = made["data"]
        return made

    def _write(self, body: Body, metadata: Body, operation: str) -> Body:
        kind, name = body["kind"], body["metadata"]["name"]
        made = deepcopy(body)
        made["metadata"] |= metadata
        made["metadata"]["resourceVersion"] = str(next(self._versions))
        made["metadata"]["managedFields"] = [{"manager": MANAGER, "operation": operation}]
        if "status" in self.objects.get((kind, name), {}):
            made["status"] = self.objects[kind, name]["status"]
        self.objects[kind, name] = made
        self.writes.append((kind, name))
        return deepcopy(made)

    async def take_ownership(self, live: Body, entry: int) -> None:
        held = self.objects[live["kind"], live["metadata"]["name"]]
        held["metadata"]["managedFields"][entry]["operation"] = "Apply"

    async def get(self, kind: Kind, namespace: str, name: str) -> Body:
        assert namespace == "plant"
        if (kind, name) not in self.objects:
            raise ApiError(404, "NotFound", f'"{name}" not found')
        return deepcopy(self.objects[kind, name])

    async def delete(self, body: Body) -> None:
        self._may("delete", body["kind"])
        del self.objects[body["kind"], body["metadata"]["name"]]
        self.writes.append(("Delete", body["metadata"]["name"]))

    async def apply_status(self, sensor: Body, status: dict[str, Any]) -> Body:
        self._may("status", "Sensor")
        made = deepcopy(self.objects["Sensor", sensor["metadata"]["name"]])
        made["metadata"]["resourceVersion"] = str(next(self._versions))
        former = made.get("status", {})
        conditions = {held["type"]: held for held in former.get("conditions", [])}
        conditions |= {held["type"]: held for held in deepcopy(status["conditions"])}
        made["status"] = {**former, **deepcopy(status), "conditions": list(conditions.values())}
        self.objects["Sensor", made["metadata"]["name"]] = made
        self.writes.append(("Status", made["metadata"]["name"]))
        return deepcopy(made)

    async def post_event(self, event: Body) -> None:
        self.events.append(event)

    async def find_lease(self, namespace: str, name: str) -> Body | None:
        self._may("find", "Lease")
        return {} if (namespace, name) in self.leases else None

    async def find_sensor(self, namespace: str, name: str) -> Body | None:
        assert namespace == "plant"
        return deepcopy(self.objects.get(("Sensor", name)))

    def version(self) -> str:
        return str(next(self._versions))

    def _may(self, verb: str, kind: str) -> None:
        if error := self.refuse.get(f"{verb} {kind}"):
            raise error


class Bench:
    """An operator's parts around a cluster that a test changes by hand."""

    def __init__(
        self, cluster: FakeCluster | None = None, *, own: str = "", image: str = ""
    ) -> None:
        self.cluster = cluster or FakeCluster()
        self.cache = Cache()
        self.queue = WorkQueue()
        self.clock = Clock()
        self.metrics = OperatorMetrics(CollectorRegistry())
        self.owners = Owners(self.cluster, own, clock=self.clock.seconds)
        self.reconciler = Reconciler(
            self.cluster,
            self.cache,
            self.queue,
            settings=replace(SETTINGS, image=image or SETTINGS.image),
            owners=self.owners,
            metrics=self.metrics,
            clock=self.clock,
        )

    def see(self, kind: str, body: Body) -> None:
        """Put an object into the API server and into the cache."""
        body = deepcopy(body)
        body["metadata"]["resourceVersion"] = self.cluster.version()
        self.cluster.objects[kind, body["metadata"]["name"]] = body
        self.cache.put(Kind(kind), body)

    def edit(self, **spec: Any) -> None:
        """Change the Sensor as a user does."""
        body = deepcopy(self.cluster.objects["Sensor", "boiler"])
        body["spec"] |= spec
        body["metadata"]["generation"] += 1
        self.see("Sensor", body)

    async def reconcile(self) -> bool:
        return await self.reconciler.reconcile(KEY)

    async def settle(self) -> None:
        """Let the Deployments' controller and the kubelet do their part, then look again."""
        for (kind, _), body in list(self.cluster.objects.items()):
            if kind == "Deployment":
                replicas = body["spec"]["replicas"]
                body["status"] = {
                    "observedGeneration": body["metadata"]["generation"],
                    "replicas": replicas,
                    "updatedReplicas": replicas,
                    "readyReplicas": replicas,
                }
                self.see("Deployment", body)
        await self.reconcile()

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.objects["Sensor", "boiler"]["status"]
        return found

    def condition(self, kind: str) -> dict[str, Any]:
        return next(c for c in self.status["conditions"] if c["type"] == kind)
