"""An API server that holds Sensors with all that an operator and Kubernetes make of them.

Lists have what the real ones have: who manages which field, and the status of rollouts and pods.
Nothing happens there, so its watches stay silent, and an operator has nothing to write.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from sensorpipe_operator.desired import builders
from sensorpipe_operator.names import GROUP, MANAGER, VERSION, Body, Kind
from sensorpipe_operator.settings import GeneratorSettings
from sensorpipe_operator.status.status import ACCEPTED, build_status, readiness
from sensorpipe_schema.sensor import API_VERSION, Sensor

NAMESPACE = "plant"
AT = "2026-11-24T09:00:00Z"
_LATEST = 1_000_000
_GROUPS = {"api/v1": ("pods", "configmaps"), "apis/apps/v1": ("deployments",)}
_GROUPS |= {f"apis/{GROUP}/{VERSION}": ("sensors", "feeds")}
_PLURALS = {kind.resource.plural: kind for kind in Kind}
_KINDS = {kind.resource.plural: str(kind) for kind in Kind}


class SettledCluster:
    """Answers an operator's requests about so many Sensors of one replica each."""

    def __init__(self, sensors: int, settings: GeneratorSettings) -> None:
        self.sensors = sensors
        self.writes = 0
        """Requests to change something, of which none is expected."""
        self.bytes_sent: dict[Kind, int] = dict.fromkeys(Kind, 0)
        """Text of the objects of the last complete list."""
        self._texts: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        for number in range(sensors):
            for kind, body in _objects(number, settings).items():
                self._texts[kind].append(json.dumps(body))

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path = request.path.strip("/")
        if request.method != "GET":
            self.writes += 1
            return web.json_response({"reason": "MethodNotAllowed"}, status=405)
        if path in ("api", "apis", *_GROUPS):
            return web.json_response(_discovery(path))
        plural = path.rpartition("/")[2]
        if plural not in _PLURALS:
            return web.json_response({"reason": "NotFound"}, status=404)
        if request.query.get("watch"):
            return await _silence(request)
        return self._list(_PLURALS[plural], request)

    def _list(self, kind: Kind, request: web.BaseRequest) -> web.Response:
        named = request.query.get("fieldSelector", "").removeprefix("metadata.name=s")
        first = int(named or request.query.get("continue") or 0)
        limit = int(request.query.get("limit") or self.sensors)
        last = min(self.sensors, first + limit) if kind is not Kind.FEED else 0
        items = self._texts[kind][first:last]
        more = str(last) if 0 < last < self.sensors and not named else ""
        metadata = json.dumps({"resourceVersion": str(_LATEST), "continue": more})
        text = f'{{"kind":"{kind}List","metadata":{metadata},"items":[{",".join(items)}]}}'
        self.bytes_sent[kind] = sum(map(len, items)) + (self.bytes_sent[kind] if first else 0)
        return web.Response(text=text, content_type="application/json")


@asynccontextmanager
async def serving(cluster: SettledCluster, folder: Path) -> AsyncIterator[Path]:
    """Serve a cluster on loopback, and yield a kubeconfig that leads there."""
    runner = web.ServerRunner(web.Server(cluster.answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    path = folder / "settled.kubeconfig"
    path.write_text(yaml.safe_dump(_kubeconfig(f"http://127.0.0.1:{port}")))
    try:
        yield path
    finally:
        await runner.cleanup()


def _kubeconfig(server: str) -> dict[str, Any]:
    context = {"cluster": "settled", "user": "operator"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "settled", "cluster": {"server": server}}],
        "users": [{"name": "operator", "user": {"token": "none"}}],
        "contexts": [{"name": "settled", "context": context}],
        "current-context": "settled",
    }


def _discovery(path: str) -> dict[str, Any]:
    """Return what there is, as an API server describes it."""
    if path == "api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "apis":
        named = [name.removeprefix("apis/") for name in _GROUPS if name.startswith("apis/")]
        groups = [
            {
                "name": name.partition("/")[0],
                "versions": [{"groupVersion": name, "version": name.partition("/")[2]}],
                "preferredVersion": {"groupVersion": name, "version": name.partition("/")[2]},
            }
            for name in named
        ]
        return {"kind": "APIGroupList", "groups": groups}
    resources = [
        {
            "name": plural,
            "singularName": _KINDS[plural].lower(),
            "namespaced": True,
            "kind": _KINDS[plural],
            "verbs": ["get", "list", "watch", "create", "patch", "delete"],
        }
        for plural in _GROUPS[path]
    ]
    version = path.partition("/")[2]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}


async def _silence(request: web.BaseRequest) -> web.StreamResponse:
    """Answer a watch with nothing until it is ended."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await asyncio.Event().wait()
    return response


def _objects(number: int, settings: GeneratorSettings) -> dict[Kind, Body]:
    """Return a Sensor, and what there is of it."""
    body = _sensor(number)
    made = Sensor.parse(body)
    config_map, deployment = builders.build_children(made, body["metadata"]["uid"], settings)
    pod = _pod(number, deployment["spec"]["template"])
    deployment = _deployment(number, deployment)
    ready = readiness(made, [deployment], [pod], datetime.now(UTC))
    now = datetime.fromisoformat(AT)
    status = build_status(body, made, [deployment], accepted=ACCEPTED, ready=ready, now=now)
    return {
        Kind.SENSOR: {**body, "status": status},
        Kind.CONFIG_MAP: _stored(number, config_map, "cm", ("f:data", "f:metadata")),
        Kind.DEPLOYMENT: deployment,
        Kind.POD: pod,
    }


def _sensor(number: int) -> Body:
    spec = {
        "facility": f"f{number}",
        "count": 1,
        "interval": "5s",
        "seed": 0,
        "replicas": 1,
        "suspend": False,
        "measurements": [{"name": "t", "signal": {"normal": {"mean": 20, "stdev": 1}}}],
    }
    body = {
        "apiVersion": API_VERSION,
        "kind": "Sensor",
        "metadata": {"name": f"s{number}", "namespace": NAMESPACE},
        "spec": spec,
    }
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(body)}
    return _stored(number, body, "sensor", ("f:spec", "f:status"), annotations=applied)


def _stored(
    number: int,
    body: Body,
    uid: str,
    managed: tuple[str, ...],
    annotations: dict[str, str] | None = None,
) -> Body:
    """Return a body with what the API server adds to its metadata."""
    metadata = body["metadata"]
    entry = {
        "manager": MANAGER,
        "operation": "Apply",
        "apiVersion": body.get("apiVersion", "v1"),
        "time": AT,
        "fieldsType": "FieldsV1",
        "fieldsV1": {name: _managed(body.get(name.removeprefix("f:"))) for name in managed},
    }
    made = {
        **metadata,
        "uid": f"00000000-0000-4000-8000-{number:06d}-{uid}",
        "resourceVersion": str(1000 + number),
        "generation": 1,
        "creationTimestamp": AT,
        "managedFields": [entry],
    }
    if annotations:
        made["annotations"] = annotations
    return {**body, "metadata": made}


def _managed(value: Any) -> Any:
    """Return a tree of all fields, as `managedFields` has."""
    match value:
        case dict():
            return {f"f:{name}": _managed(each) for name, each in value.items()}
        case list():
            return {f'k:{{"name":"{i}"}}': {".": {}, **_tree(each)} for i, each in enumerate(value)}
        case _:
            return {}


def _tree(value: Any) -> dict[str, Any]:
    found = _managed(value)
    return found if isinstance(found, dict) else {}


def _deployment(number: int, body: Body) -> Body:
    """Return a Deployment as it is once its pod runs."""
    template = body["spec"]["template"]
    pod = {**template["spec"], **_POD_DEFAULTS}
    template = {**template, "metadata": {**template["metadata"], "creationTimestamp": None}}
    made = {**body, "spec": {**body["spec"], "template": {**template, "spec": pod}}}
    status = {
        "observedGeneration": 1,
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "conditions": [
            _condition("Available", "MinimumReplicasAvailable", "Deployment has minimum"),
            _condition("Progressing", "NewReplicaSetAvailable", f'ReplicaSet "s{number}-6d4cf56" '),
        ],
    }
    stored = _stored(number, made, "deployment", ("f:spec",))
    own = stored["metadata"]["managedFields"][0]
    controller = {**own, "manager": "kube-controller-manager", "subresource": "status"}
    controller["fieldsV1"] = {"f:status": _managed(status)}
    stored["metadata"]["managedFields"].append(controller)
    stored["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1"
    return {**stored, "status": status}


def _pod(number: int, template: Body) -> Body:
    """Return a pod that runs."""
    metadata = {
        "name": f"s{number}-6d4cf56db6-{number:05d}",
        "generateName": f"s{number}-6d4cf56db6-",
        "namespace": NAMESPACE,
        "labels": {**template["metadata"]["labels"], "pod-template-hash": "6d4cf56db6"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"s{number}"}],
    }
    spec = {**template["spec"], **_POD_DEFAULTS, "nodeName": f"node-{number % 100}"}
    types = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    image = template["spec"]["containers"][0]["image"]
    status = {
        "phase": "Running",
        "conditions": [_condition(name, "", "") for name in types],
        "hostIP": "10.0.0.1",
        "hostIPs": [{"ip": "10.0.0.1"}],
        "podIP": "10.1.2.3",
        "podIPs": [{"ip": "10.1.2.3"}],
        "startTime": AT,
        "qosClass": "Burstable",
        "containerStatuses": [
            {
                "name": "generator",
                "image": image,
                "imageID": f"{image}@sha256:{'0' * 64}",
                "containerID": f"containerd://{number:064d}",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": AT}},
                "lastState": {},
            }
        ],
    }
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}
    return _stored(number, body, "pod", ("f:spec", "f:status", "f:metadata"))


def _condition(name: str, reason: str, message: str) -> Body:
    return {
        "type": name,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": AT,
        "lastUpdateTime": AT,
    }


_POD_DEFAULTS: Body = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "serviceAccountName": "default",
    "serviceAccount": "default",
    "tolerations": [
        {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": "NoExecute"}
        for name in ("not-ready", "unreachable")
    ],
}
