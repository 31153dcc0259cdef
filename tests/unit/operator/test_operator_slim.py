"""The cache keeps of each object what the operator reads, and nothing else of any size."""

import json
from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest
from sensorpipe_operator.cache import Cache, Listing
from sensorpipe_operator.kube_api import ApiError, KubeApi
from sensorpipe_operator.names import SENSOR_LABEL, Body, Kind
from sensorpipe_operator.slim import slim
from support.kube.operator_parts import KEY, Bench, listed, sensor_body

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def pod(**status: Any) -> Body:
    return {
        "metadata": {
            "name": "boiler-1",
            "namespace": "plant",
            "uid": "u-pod",
            "resourceVersion": "7",
            "labels": {SENSOR_LABEL: "boiler"},
            "managedFields": [{"manager": "kubelet"}],
            "annotations": {LAST_APPLIED: "{}", "other": "kept"},
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "generator"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", **status},
    }


def test_of_a_pod_only_what_tells_why_it_does_not_run_is_kept() -> None:
    container = {
        "name": "generator",
        "image": "i",
        "imageID": "i@sha256",
        "ready": False,
        "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}},
    }
    conditions = [
        {"type": "Ready", "status": "False", "lastProbeTime": None},
        {"type": "Initialized", "status": "True"},
    ]
    body = pod(containerStatuses=[container], conditions=conditions)
    assert slim(Kind.POD, body) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "boiler-1",
            "namespace": "plant",
            "uid": "u-pod",
            "resourceVersion": "7",
            "labels": {SENSOR_LABEL: "boiler"},
            "annotations": {"other": "kept"},
        },
        "spec": {"nodeName": "node-1"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [
                {
                    "image": "i",
                    "ready": False,
                    "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}},
                }
            ],
        },
    }
    assert "managedFields" in body["metadata"]  # what was given is not changed


def test_of_a_deployment_all_that_may_drift_is_kept() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    body: Body = {
        "metadata": {"name": "boiler", "namespace": "plant", "managedFields": []},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "generator"}]}}},
        "status": {
            "observedGeneration": 2,
            "readyReplicas": 1,
            "collisionCount": 3,
            "conditions": [{"type": "Available", "status": "True"}, failure],
        },
    }
    assert slim(Kind.DEPLOYMENT, body) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "boiler", "namespace": "plant"},
        "spec": body["spec"],
        "status": {"observedGeneration": 2, "readyReplicas": 1, "conditions": [failure]},
    }


async def test_a_list_after_a_restart_leads_to_no_request() -> None:
    """Items of a list have no kind of their own, and must match all the same."""
    first = Bench()
    first.see("Sensor", sensor_body())
    assert await first.reconcile()
    second = Bench(first.cluster)
    for (kind, _), stored in first.cluster.objects.items():
        body = deepcopy(stored)
        for name in ("kind", "apiVersion"):
            del body[name]
        second.cache.put(Kind(kind), body)
    for request in ("create", "get", "apply", "apply_status", "find_sensor"):
        setattr(second.cluster, request, None)
    assert await second.reconcile()


def test_what_the_cache_returns_is_not_the_caches_own() -> None:
    cache = Cache()
    cache.put(Kind.SENSOR, sensor_body())
    found = cache.sensor(KEY)
    assert found is not None
    found["spec"]["count"] = 1000
    assert cache.sensor(KEY) == {**sensor_body()}


def test_what_a_list_lacks_is_dropped_at_its_end() -> None:
    cache = Cache()
    cache.put(Kind.POD, pod())
    listing = Listing(cache, Kind.POD, None)
    assert listing.end(6) == []  # the pod is newer than the list
    listing = Listing(cache, Kind.POD, None)
    assert listing.put(pod()) is None  # known
    assert listing.end(8) == []
    assert Listing(cache, Kind.POD, "yard").end(8) == []
    assert Listing(cache, Kind.POD, "plant").end(8) == [KEY]
    assert cache.children(KEY, Kind.POD) == {}


class Pages:
    """Hands out two pages."""

    configuration = SimpleNamespace(host="http://server")

    def __init__(self, *contents: str) -> None:
        self.contents = list(contents)
        self.urls: list[str] = []

    async def update_params_for_auth(self, *_: Any) -> None:
        """Need no token."""

    async def call_api(self, _: str, url: str, *__: Any) -> Any:
        self.urls.append(url)
        content = self.contents.pop(0).encode()

        async def read() -> bytes:
            return content

        return SimpleNamespace(status=200, read=read)


def page(*names: str, version: str = "9", more: str = "") -> str:
    items = [{"metadata": {"name": name}} for name in names]
    return json.dumps({"metadata": {"resourceVersion": version, "continue": more}, "items": items})


async def test_a_list_is_read_in_pages() -> None:
    client: Any = Pages(page("a", "b", more="to/c"), page("c"))
    found = [
        ([body["metadata"]["name"] for body in bodies], version)
        async for bodies, version in KubeApi(client).pages(Kind.POD, "plant", 2)
    ]
    assert found == [(["a", "b"], 9), (["c"], 9)]
    assert "continue" not in client.urls[0]
    assert "limit=2" in client.urls[0]
    assert "continue=to%2Fc" in client.urls[1]


@pytest.mark.parametrize(
    "content", ["", "[]", '{"items":[]}', '{"metadata":{"resourceVersion":1}}']
)
async def test_a_page_that_is_none_is_an_error_of_the_api(content: str) -> None:
    client: Any = Pages(content)
    with pytest.raises(ApiError, match="a list is not understood"):
        await listed(KubeApi(client), Kind.POD, "plant")
