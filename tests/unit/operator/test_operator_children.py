"""Writing children whose names are taken, or that were deleted meanwhile."""

from copy import deepcopy
from typing import Any

import pytest
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.names import SHARES_LABEL, Body, Kind, labels
from support.kube.operator_parts import KEY, Bench, sensor_body


@pytest.fixture
async def bench() -> Bench:
    it = Bench()
    it.see("Sensor", sensor_body())
    return it


def foreign(kind: str, **metadata: Any) -> Body:
    """Return an object that a user made, named like the Sensor."""
    made = {"name": "boiler", "namespace": "plant", "uid": "u-0", "resourceVersion": "5"}
    managers = [{"manager": "kubectl-create", "operation": "Update"}]
    named = {**made, "generation": 1, "managedFields": managers, **metadata}
    return {"kind": kind, "metadata": named, "data": {"theirs": "1"}}


OTHERS: list[Body] = [
    {},
    {"labels": labels("boiler")},
    {"ownerReferences": [{"kind": "Job", "name": "boiler", "uid": "u-1", "controller": True}]},
    {
        "ownerReferences": [
            {
                "apiVersion": "sensorpipe.dev/v1alpha1",
                "kind": "Sensor",
                "name": "annex",
                "uid": "u-7",
                "controller": True,
            }
        ]
    },
]


@pytest.mark.parametrize("kind", ["ConfigMap", "Deployment"])
@pytest.mark.parametrize("metadata", OTHERS)
async def test_what_belongs_to_somebody_else_is_never_taken_over(
    bench: Bench, kind: str, metadata: Body
) -> None:
    theirs = foreign(kind, **metadata)
    bench.cluster.objects[kind, "boiler"] = theirs
    kept = deepcopy(theirs)
    bench.cache.put(Kind(kind), theirs)  # which takes note of those with the labels alone
    assert not await bench.reconcile()
    assert bench.cluster.objects[kind, "boiler"] == kept
    ready = bench.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "NameTaken")
    assert ready["message"] == (
        f"{kind} boiler already exists and does not belong to this Sensor; it is left unchanged: "
        "delete it, or give the Sensor another name"
    )
    assert [event["reason"] for event in bench.cluster.events] == ["NameTaken"]
    bench.cache.drop(Kind(kind), bench.cluster.objects.pop((kind, "boiler")))
    assert await bench.reconcile()
    assert bench.cluster.objects[kind, "boiler"]["metadata"]["uid"] != "u-0"


async def test_somebody_elses_generators_are_not_counted(bench: Bench) -> None:
    theirs = foreign("Deployment", labels=labels("boiler"))
    theirs["status"] = {"readyReplicas": 3, "replicas": 3, "updatedReplicas": 3}
    bench.see("Deployment", theirs)
    await bench.reconcile()
    assert bench.condition("Ready")["reason"] == "NameTaken"
    assert bench.status["readyReplicas"] == 0


async def test_children_of_a_former_sensor_of_the_name_are_taken_over(bench: Bench) -> None:
    await bench.reconcile()
    again = sensor_body()
    again["metadata"] |= {"uid": "u-2", "generation": 1}
    bench.see("Sensor", again)
    assert await bench.reconcile()
    for kind in ("ConfigMap", "Deployment"):
        (owner,) = bench.cluster.objects[kind, "boiler"]["metadata"]["ownerReferences"]
        assert owner["uid"] == "u-2"


async def test_orphans_that_the_operator_made_are_taken_over(bench: Bench) -> None:
    await bench.reconcile()
    for kind in ("ConfigMap", "Deployment"):
        orphan = bench.cluster.objects[kind, "boiler"]
        del orphan["metadata"]["ownerReferences"]
        bench.see(kind, orphan)
    assert await bench.reconcile()
    for kind in ("ConfigMap", "Deployment"):
        (owner,) = bench.cluster.objects[kind, "boiler"]["metadata"]["ownerReferences"]
        assert owner["uid"] == "u-1"


async def orphaned(bench: Bench) -> None:
    """Have a Sensor of 3 replicas deleted with `--cascade=orphan` and made again with 2."""
    bench.edit(replicas=3)
    await bench.reconcile()
    for kind, name in list(bench.cluster.objects):
        if kind != "Sensor":
            orphan = bench.cluster.objects[kind, name]
            del orphan["metadata"]["ownerReferences"]
            bench.see(kind, orphan)
    again = sensor_body(replicas=2)
    again["metadata"]["uid"] = "u-2"
    bench.see("Sensor", again)


def deployments(bench: Bench) -> dict[str, int]:
    """Return how many pods each Deployment is to have."""
    return {
        name: body["spec"]["replicas"]
        for (kind, name), body in bench.cluster.objects.items()
        if kind == "Deployment"
    }


async def test_an_orphan_that_is_not_needed_is_deleted_and_the_others_start(bench: Bench) -> None:
    await orphaned(bench)
    former = {"name": "boiler.2-1", "namespace": "plant"}
    shares = {**labels("boiler"), SHARES_LABEL: "3"}
    bench.see("Pod", {"metadata": {**former, "labels": shares}, "status": {"phase": "Running"}})
    assert await bench.reconcile()
    assert deployments(bench) == {"boiler": 0, "boiler.1": 0}
    bench.cache.drop(Kind.POD, bench.cluster.objects.pop(("Pod", "boiler.2-1")))
    assert await bench.reconcile()  # although no watch reported that the Deployment was deleted
    assert deployments(bench) == {"boiler": 1, "boiler.1": 1}


async def test_a_deployment_that_a_user_labelled_as_a_sensors_is_not_deleted(bench: Bench) -> None:
    theirs = foreign("Deployment", name="boiler.2", labels=labels("boiler"))
    bench.see("Deployment", theirs)
    assert await bench.reconcile()
    assert bench.cluster.objects["Deployment", "boiler.2"]["data"] == {"theirs": "1"}


@pytest.mark.parametrize("status", [0, 500])
async def test_an_orphan_that_cannot_be_looked_at_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    await orphaned(bench)

    async def get(kind: Kind, namespace: str, name: str) -> Body:
        raise ApiError(status, "Error", f"no {kind} {namespace}/{name}")

    with monkeypatch.context() as away:
        away.setattr(bench.cluster, "get", get)
        assert not await bench.reconcile()
    assert "boiler.2" in deployments(bench)
    assert await bench.reconcile()
    assert deployments(bench) == {"boiler": 1, "boiler.1": 1}


async def test_what_was_created_and_is_no_longer_wanted_goes(bench: Bench) -> None:
    await bench.reconcile()
    for seed in (1, 2):
        bench.edit(seed=seed)
        await bench.reconcile()
    (content,) = bench.cluster.objects["ConfigMap", "boiler"]["data"].values()
    assert '"seed": 2' in content


async def test_a_child_that_the_cache_lacks_is_not_written_again(bench: Bench) -> None:
    await bench.reconcile()
    fresh = Bench()
    fresh.cluster = bench.cluster
    fresh.reconciler._api = bench.cluster
    fresh.cache.put(Kind.SENSOR, bench.cluster.objects["Sensor", "boiler"])
    bench.cluster.writes.clear()
    assert await fresh.reconciler.reconcile(KEY)
    assert bench.cluster.writes == []


async def test_a_child_that_goes_while_it_is_looked_at_is_made_at_the_next_look(
    bench: Bench,
) -> None:
    await bench.reconcile()
    gone = bench.cluster.objects.pop(("Deployment", "boiler"))
    bench.edit(seed=1)
    assert not await bench.reconcile()  # the watch has not reported it yet
    bench.cache.drop(Kind.DEPLOYMENT, gone)
    assert await bench.reconcile()
    assert ("Deployment", "boiler") in bench.cluster.objects


async def test_a_name_that_is_free_again_when_it_is_looked_at_is_tried_again(bench: Bench) -> None:
    text = 'configmaps "boiler" already exists'
    bench.cluster.refuse["create ConfigMap"] = ApiError(409, "AlreadyExists", text)
    assert not await bench.reconcile()
    bench.cluster.refuse.clear()
    assert await bench.reconcile()
