"""Objects on a real API server that have the name of a Sensor's child."""

import json
from typing import Any

import pytest
from sensorpipe_operator.names import MANAGER, labels
from support.kube.operator_process import Namespace
from support.kube.operator_sensors import sensor, settled
from support.waiting import until

pytest_plugins = ["support.kube.operator_fixtures"]

CONFIG_MAP: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"theirs": "1"}}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "spec": {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "theirs"}},
        "template": {
            "metadata": {"labels": {"app": "theirs"}},
            "spec": {"containers": [{"name": "theirs", "image": "localhost/none:1"}]},
        },
    },
}


def read(namespace: Namespace, what: str) -> dict[str, Any]:
    """Return an object without what its controller writes, or whoever did so."""
    found: dict[str, Any] = namespace.get(what)
    found.pop("status", None)
    found["metadata"].pop("resourceVersion")
    return found


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("theirs", [CONFIG_MAP, DEPLOYMENT], ids=["ConfigMap", "Deployment"])
def test_what_a_user_made_is_not_taken_over_nor_deleted(
    namespace: Namespace, theirs: dict[str, Any], *, labelled: bool
) -> None:
    kind = theirs["kind"]
    what = f"{kind.lower()}/boiler"
    metadata = {"name": "boiler", "labels": labels("boiler") if labelled else {}}
    namespace.kubectl("create", "-f", "-", stdin=json.dumps({**theirs, "metadata": metadata}))
    if kind == "Deployment":  # its controller adds an annotation of its own
        until(lambda: "annotations" in namespace.get(what)["metadata"])
    kept = read(namespace, what)
    namespace.apply(sensor("boiler"))
    namespace.wait_reason("boiler", "NameTaken")
    assert namespace.condition("boiler")["message"] == (
        f"{kind} boiler already exists and does not belong to this Sensor; it is left unchanged: "
        "delete it, or give the Sensor another name"
    )
    namespace.apply(sensor("boiler", replicas=0))
    until(lambda: settled(namespace, 2) == ["boiler"])
    assert read(namespace, what) == kept
    namespace.kubectl("delete", "sensor/boiler", "--cascade=foreground")
    assert read(namespace, what) == kept


def test_a_name_that_becomes_free_is_taken(namespace: Namespace) -> None:
    theirs = {**CONFIG_MAP, "metadata": {"name": "boiler"}}
    namespace.kubectl("create", "-f", "-", stdin=json.dumps(theirs))
    namespace.apply(sensor("boiler", replicas=0))
    namespace.wait_reason("boiler", "NameTaken")
    namespace.kubectl("delete", "configmap/boiler")
    namespace.wait_reason("boiler", "ScaledToZero")


def test_nothing_stays_of_what_was_created_and_is_no_longer_wanted(namespace: Namespace) -> None:
    namespace.apply(sensor("boiler", replicas=0))
    namespace.wait_reason("boiler", "ScaledToZero")
    for generation in (2, 3):
        namespace.apply(sensor("boiler", replicas=0, seed=generation))
        until(lambda n=generation: settled(namespace, n) == ["boiler"])  # type: ignore[misc]
        (content,) = namespace.get("configmap/boiler")["data"].values()
        assert f'"seed": {generation}' in content
    for what in ("configmap/boiler", "deployment/boiler"):
        fields = namespace.get(what, "--show-managed-fields")["metadata"]["managedFields"]
        mine = [held["operation"] for held in fields if held["manager"] == MANAGER]
        assert mine == ["Apply"]


def test_children_of_a_sensor_that_is_made_again_are_kept(namespace: Namespace) -> None:
    namespace.apply(sensor("boiler", replicas=0))
    namespace.wait_reason("boiler", "ScaledToZero")
    uid = namespace.get("deployment/boiler")["metadata"]["uid"]
    namespace.kubectl("delete", "sensor/boiler", "--cascade=orphan")
    namespace.apply(sensor("boiler", replicas=0))
    namespace.wait_reason("boiler", "ScaledToZero")
    owner = namespace.get("sensor/boiler")["metadata"]["uid"]
    for what in ("configmap/boiler", "deployment/boiler"):
        (reference,) = namespace.get(what)["metadata"]["ownerReferences"]
        assert reference["uid"] == owner
    assert namespace.get("deployment/boiler")["metadata"]["uid"] == uid


def test_orphans_that_a_sensor_made_again_does_not_need_go(namespace: Namespace) -> None:
    namespace.apply(sensor("boiler", replicas=3, suspend=True))
    namespace.wait_reason("boiler", "Suspended")
    assert namespace.get("deployment/boiler.2")["spec"]["replicas"] == 0
    namespace.kubectl("delete", "sensor/boiler", "--cascade=orphan")
    namespace.apply(sensor("boiler", replicas=2, suspend=True))

    def held() -> list[str]:
        return sorted(one["metadata"]["name"] for one in namespace.get("deployments")["items"])

    until(lambda: held() == ["boiler", "boiler.1"])
    namespace.wait_reason("boiler", "Suspended")
