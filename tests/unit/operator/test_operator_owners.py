"""Operators of two releases that see the same Sensor: one keeps it, the other leaves it alone."""

from copy import deepcopy
from typing import Any

from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.names import OPERATOR_ANNOTATION, Body, Kind
from sensorpipe_operator.owners import LOOK_SECONDS
from support.kube.operator_parts import KEY, Bench, FakeCluster, sensor_body

EAST, WEST = "east/operator", "west/operator"
CHILDREN = (("ConfigMap", "boiler"), ("Deployment", "boiler"))


def releases(*, installed: tuple[str, ...] = (EAST, WEST)) -> tuple[FakeCluster, Bench, Bench]:
    """Return a cluster with a Sensor, and two operators with other generators that see it."""
    cluster = FakeCluster()
    cluster.leases = {(name.partition("/")[0], "operator") for name in installed}
    east = Bench(cluster, own=EAST, image="generator:east")
    west = Bench(cluster, own=WEST, image="generator:west")
    east.see("Sensor", sensor_body())
    show(cluster, west)
    return cluster, east, west


def show(cluster: FakeCluster, *benches: Bench) -> None:
    """Have operators learn of everything there is."""
    for (kind, _), body in cluster.objects.items():
        for bench in benches:
            bench.cache.put(Kind(kind), deepcopy(body))


def marks(cluster: FakeCluster) -> set[Any]:
    return {
        cluster.objects[child]["metadata"]["annotations"].get(OPERATOR_ANNOTATION)
        for child in CHILDREN
    }


def template(cluster: FakeCluster) -> Body:
    found: Body = cluster.objects["Deployment", "boiler"]["spec"]["template"]
    return found


def image(cluster: FakeCluster) -> str:
    return str(template(cluster)["spec"]["containers"][0]["image"])


async def test_for_an_hour_the_first_one_keeps_the_sensor_and_the_other_leaves_it_alone() -> None:
    cluster, east, west = releases()
    assert await east.reconcile()
    written = len(cluster.writes)
    for _ in range(round(3600 / LOOK_SECONDS)):
        for bench in (west, east):
            show(cluster, east, west)
            bench.clock.move(LOOK_SECONDS)
            assert await bench.reconcile()
    assert len(cluster.writes) == written
    assert (image(cluster), marks(cluster)) == ("generator:east", {EAST})
    assert west.owners.others([KEY]) == 1
    assert east.owners.others([KEY]) == 0
    (event,) = [event for event in cluster.events if event["reason"] == "OtherOperator"]
    assert event["type"] == "Normal"
    assert event["message"] == (
        "The operator of east/operator keeps this Sensor; another one leaves it alone"
    )


async def test_of_two_that_create_at_once_one_gives_way() -> None:
    cluster, east, west = releases()
    assert await east.reconcile()
    assert await west.reconcile()  # its cache has no child: it finds the ConfigMap when creating
    assert (image(cluster), marks(cluster)) == ("generator:east", {EAST})
    assert west.owners.others([KEY]) == 1


async def test_what_has_no_mark_is_adopted_without_a_restart() -> None:
    cluster, east, _ = releases()
    before = Bench(cluster, image="generator:east")
    show(cluster, before)
    assert await before.reconcile()
    assert marks(cluster) == {None}
    kept = deepcopy(template(cluster))
    show(cluster, east)
    assert await east.reconcile()
    assert marks(cluster) == {EAST}
    assert template(cluster) == kept
    assert OPERATOR_ANNOTATION not in str(kept)


async def test_of_two_that_adopt_at_once_one_gives_way() -> None:
    cluster, east, west = releases()
    before = Bench(cluster, image="generator:east")
    show(cluster, before)
    assert await before.reconcile()
    show(cluster, east, west)
    assert await east.reconcile()
    assert await west.reconcile()  # its cache has no mark yet
    assert (image(cluster), marks(cluster)) == ("generator:east", {EAST})


async def test_nothing_is_taken_that_was_marked_between_reading_and_writing() -> None:
    cluster, east, west = releases()
    before = Bench(cluster, image="generator:east")
    show(cluster, before)
    assert await before.reconcile()
    show(cluster, east, west)
    apply = cluster.apply

    async def late(body: Body, uid: str, version: str | None = None) -> Body:
        cluster.apply = apply  # type: ignore[method-assign]
        assert await east.reconcile()
        return await apply(body, uid, version)

    cluster.apply = late  # type: ignore[method-assign]
    assert not await west.reconcile()
    assert marks(cluster) == {EAST}
    assert await west.reconcile()
    assert (image(cluster), marks(cluster)) == ("generator:east", {EAST})


async def test_the_sensors_of_a_release_that_is_gone_are_taken_over() -> None:
    cluster, east, west = releases()
    assert await east.reconcile()
    show(cluster, west)
    assert await west.reconcile()
    cluster.leases.discard(("east", "operator"))
    west.clock.move(LOOK_SECONDS)
    assert await west.reconcile()
    assert (image(cluster), marks(cluster)) == ("generator:west", {WEST})
    assert west.owners.others([KEY]) == 0
    show(cluster, east)  # its operator may live on for a moment
    written = len(cluster.writes)
    assert await east.reconcile()
    assert len(cluster.writes) == written


async def test_a_release_that_cannot_be_asked_for_keeps_its_sensors() -> None:
    cluster, east, west = releases()
    assert await east.reconcile()
    show(cluster, west)
    written = len(cluster.writes)
    cluster.refuse["find Lease"] = ApiError(403, "Forbidden", "leases is forbidden")
    assert await west.reconcile()
    west.clock.move(LOOK_SECONDS)
    cluster.refuse["find Lease"] = ApiError(0, "Unreachable", "no response")
    assert not await west.reconcile()
    assert len(cluster.writes) == written


async def test_a_deployment_that_is_left_alone_keeps_its_sensor() -> None:
    cluster, east, west = releases()
    assert await east.reconcile()
    del cluster.objects["ConfigMap", "boiler"]
    show(cluster, west)
    assert await west.reconcile()
    assert ("ConfigMap", "boiler") not in cluster.objects
    assert image(cluster) == "generator:east"


async def test_without_a_lease_no_mark_is_written_or_heeded() -> None:
    cluster, east, _ = releases()
    assert await east.reconcile()
    alone = Bench(cluster, image="generator:alone")
    show(cluster, alone)
    assert await alone.reconcile()
    assert image(cluster) == "generator:alone"
