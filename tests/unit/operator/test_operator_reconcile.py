"""Reconciling: children and status match the Sensor, whatever happened before."""

from collections import Counter
from copy import deepcopy
from typing import Any

import pytest
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_operator.names import SENSOR_LABEL, SHARES_LABEL, Kind
from support.kube.operator_parts import KEY, Bench, sensor_body


@pytest.fixture
async def bench() -> Bench:
    it = Bench()
    it.see("Sensor", sensor_body())
    return it


def env(bench: Bench, deployment: str) -> dict[str, Any]:
    body = bench.cluster.objects["Deployment", deployment]
    container = body["spec"]["template"]["spec"]["containers"][0]
    return {variable["name"]: variable.get("value") for variable in container["env"]}


def replicas(bench: Bench, name: str) -> int:
    wanted: int = bench.cluster.objects["Deployment", name]["spec"]["replicas"]
    return wanted


def deployments(bench: Bench) -> list[str]:
    return sorted(name for kind, name in bench.cluster.objects if kind == "Deployment")


async def test_a_new_sensor_takes_three_writes_and_no_more(bench: Bench) -> None:
    assert await bench.reconcile()
    assert bench.cluster.writes == [
        ("ConfigMap", "boiler"),
        ("Deployment", "boiler"),
        ("Status", "boiler"),
    ]
    assert bench.condition("Accepted")["status"] == "True"
    assert bench.condition("Ready")["reason"] == "Starting"
    assert (bench.status["devices"], bench.status["readingsPerSecond"]) == (4, 2)
    await bench.reconcile()
    assert len(bench.cluster.writes) == 3


async def test_it_is_ready_once_the_generators_are(bench: Bench) -> None:
    await bench.reconcile()
    await bench.settle()
    assert bench.condition("Ready") == {
        "type": "Ready",
        "status": "True",
        "observedGeneration": 1,
        "reason": "Running",
        "message": "The generator is connected to the broker",
        "lastTransitionTime": "2026-11-24T09:00:00Z",
    }
    assert bench.status["readyReplicas"] == 1
    assert bench.cluster.events == []  # it went as expected


async def test_scaling_gives_each_pod_devices_of_its_own(bench: Bench) -> None:
    await bench.reconcile()
    bench.edit(replicas=3)
    await bench.reconcile()
    assert deployments(bench) == ["boiler", "boiler.1", "boiler.2"]
    shares = [env(bench, name)["SENSORPIPE_SHARE"] for name in deployments(bench)]
    assert shares == ["0/3", "1/3", "2/3"]
    assert bench.status["replicas"] == 3
    await bench.settle()
    assert bench.condition("Ready")["message"] == "All 3 generators are connected to the broker"


async def test_scaling_down_ends_a_pod_before_its_devices_have_another(bench: Bench) -> None:
    bench.edit(replicas=3)
    await bench.reconcile()
    bench.cluster.writes.clear()
    bench.edit(replicas=2)
    await bench.reconcile()
    assert bench.cluster.writes[0] == ("Delete", "boiler.2")
    assert deployments(bench) == ["boiler", "boiler.1"]


async def test_no_pod_starts_while_one_of_another_division_is_there(bench: Bench) -> None:
    await bench.reconcile()
    former = pod({"running": {"startedAt": "2026-11-24T09:00:00Z"}})
    former["metadata"]["labels"][SHARES_LABEL] = "1"
    bench.see("Pod", former)
    bench.edit(replicas=2)
    await bench.reconcile()
    assert [replicas(bench, name) for name in deployments(bench)] == [0, 0]
    assert bench.status["replicas"] == 2  # what is wanted
    bench.cache.drop(Kind.POD, bench.cluster.objects["Pod", "boiler-1"])
    await bench.reconcile()
    assert [replicas(bench, name) for name in deployments(bench)] == [1, 1]


@pytest.mark.parametrize(
    ("change", "reason"), [({"replicas": 0}, "ScaledToZero"), ({"suspend": True}, "Suspended")]
)
async def test_a_stopped_sensor_keeps_a_deployment_without_pods(
    bench: Bench, change: dict[str, Any], reason: str
) -> None:
    await bench.reconcile()
    bench.edit(**change)
    await bench.reconcile()
    assert bench.cluster.objects["Deployment", "boiler"]["spec"]["replicas"] == 0
    assert (bench.condition("Ready")["status"], bench.condition("Ready")["reason"]) == (
        "False",
        reason,
    )
    assert (bench.status["replicas"], bench.status["devices"]) == (0, 0)
    assert bench.cluster.events == []  # the user wanted it


@pytest.mark.parametrize(
    ("change", "reason"), [({"replicas": 0}, "ScaledToZero"), ({"suspend": True}, "Suspended")]
)
async def test_a_sensor_is_stopped_once_no_generator_is_ready(
    bench: Bench, change: dict[str, Any], reason: str
) -> None:
    await bench.reconcile()
    await bench.settle()
    bench.edit(**change)
    await bench.reconcile()
    assert (bench.condition("Ready")["reason"], bench.status["readyReplicas"]) == ("Stopping", 1)
    assert bench.condition("Ready")["message"] == "Waiting for the generators to terminate"
    await bench.settle()
    assert (bench.condition("Ready")["reason"], bench.status["readyReplicas"]) == (reason, 0)
    assert bench.cluster.events == []


async def test_what_is_the_same_is_not_applied(bench: Bench) -> None:
    await bench.reconcile()
    bench.cluster.writes.clear()
    bench.edit(interval="1s")
    await bench.reconcile()
    written = Counter(kind for kind, _ in bench.cluster.writes)
    assert written == {"ConfigMap": 1, "Deployment": 1, "Status": 1}


async def test_a_change_by_hand_is_undone(bench: Bench) -> None:
    await bench.reconcile()
    edited = deepcopy(bench.cluster.objects["Deployment", "boiler"])
    edited["spec"]["replicas"] = 5
    bench.see("Deployment", edited)
    await bench.reconcile()
    assert bench.cluster.objects["Deployment", "boiler"]["spec"]["replicas"] == 1


async def test_a_deleted_child_comes_back(bench: Bench) -> None:
    await bench.reconcile()
    gone = bench.cluster.objects.pop(("ConfigMap", "boiler"))
    bench.cache.drop(Kind.CONFIG_MAP, gone)
    bench.cluster.writes.clear()
    await bench.reconcile()
    assert bench.cluster.writes == [("ConfigMap", "boiler")]


async def test_a_sensor_that_is_being_deleted_is_left_alone(bench: Bench) -> None:
    body = sensor_body()
    body["metadata"]["deletionTimestamp"] = "2026-11-24T09:00:00Z"
    bench.see("Sensor", body)
    assert await bench.reconcile()
    assert bench.cluster.writes == []


async def test_what_a_newer_definition_added_is_passed_over(bench: Bench) -> None:
    body = sensor_body(location={"building": 7})
    body["metadata"]["generateName"] = "boil"
    bench.see("Sensor", body)
    assert await bench.reconcile()
    assert bench.condition("Accepted")["status"] == "True"
    assert deployments(bench) == ["boiler"]


async def test_a_wrong_sensor_keeps_what_runs_and_says_what_is_wrong(bench: Bench) -> None:
    await bench.reconcile()
    bench.cluster.writes.clear()
    bench.edit(interval="5x")
    assert await bench.reconcile()
    assert bench.cluster.writes == [("Status", "boiler")]
    accepted = bench.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "Invalid")
    assert accepted["message"] == "spec.interval: must be between 10ms and 1h; got '5x'"
    assert [event["reason"] for event in bench.cluster.events] == ["Invalid"]


async def test_a_quota_is_named(bench: Bench) -> None:
    text = 'deployments.apps "boiler" is forbidden: exceeded quota: few, requested: 1'
    bench.cluster.refuse["create Deployment"] = ApiError(403, "Forbidden", text)
    assert not await bench.reconcile()
    assert bench.condition("Ready")["reason"] == "QuotaExceeded"
    assert "exceeded quota: few" in bench.condition("Ready")["message"]
    bench.cluster.refuse.clear()
    assert await bench.reconcile()
    await bench.settle()
    assert [event["reason"] for event in bench.cluster.events] == ["QuotaExceeded"]


async def test_an_api_server_that_is_away_is_asked_again(bench: Bench) -> None:
    bench.cluster.refuse["create ConfigMap"] = ApiError(0, "Unreachable", "no answer")
    assert not await bench.reconcile()
    assert bench.cluster.writes == []
    bench.cluster.refuse.clear()
    assert await bench.reconcile()


async def test_a_sensor_that_went_meanwhile_is_no_error(bench: Bench) -> None:
    bench.cluster.refuse["status Sensor"] = ApiError(404, "NotFound", "not found")
    assert await bench.reconcile()


def pod(state: dict[str, Any], last: dict[str, Any] | None = None) -> dict[str, Any]:
    status = {"name": "generator", "image": "generator:1", "ready": False, "state": state}
    return {
        "metadata": {"name": "boiler-1", "namespace": "plant", "labels": {SENSOR_LABEL: "boiler"}},
        "spec": {"nodeName": "node-1"},
        "status": {"phase": "Pending", "containerStatuses": [{**status, "lastState": last or {}}]},
    }


CRASHED = {"terminated": {"exitCode": 1, "reason": "Error", "message": "sensorpipe: no broker\n"}}


@pytest.mark.parametrize(
    ("state", "last", "reason", "message"),
    [
        (
            {"waiting": {"reason": "ErrImagePull", "message": "not found"}},
            None,
            "ImageUnavailable",
            "Image generator:1 cannot be pulled: not found",
        ),
        (
            {
                "waiting": {
                    "reason": "CreateContainerConfigError",
                    "message": 'secret "b" not found',
                }
            },
            None,
            "Misconfigured",
            'A generator cannot be started: secret "b" not found',
        ),
        (
            {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
            CRASHED,
            "Crashing",
            "A generator exited with code 1: sensorpipe: no broker",
        ),
        (CRASHED, None, "Crashing", "A generator exited with code 1: sensorpipe: no broker"),
        (
            {"running": {"startedAt": "2026-11-24T08:59:00Z"}},
            None,
            "NotConnected",
            "A generator is not connected to the broker; its log says why: pod boiler-1 on node-1",
        ),
        (
            {"waiting": {"reason": "ContainerCreating"}},
            None,
            "Starting",
            "Waiting for the generator",
        ),
    ],
)
async def test_why_a_generator_does_not_run(
    bench: Bench, state: dict[str, Any], last: dict[str, Any] | None, reason: str, message: str
) -> None:
    await bench.reconcile()
    bench.see("Pod", pod(state, last))
    await bench.reconcile()
    ready = bench.condition("Ready")
    assert (ready["reason"], ready["message"]) == (reason, message)


async def test_a_node_that_does_not_answer_is_named(bench: Bench) -> None:
    await bench.reconcile()
    lost = pod({"running": {"startedAt": "2026-11-24T08:00:00Z"}})
    lost["status"]["containerStatuses"][0]["ready"] = True
    lost["status"]["conditions"] = [
        {"type": "ContainersReady", "status": "True"},
        {"type": "Ready", "status": "False"},
    ]
    bench.see("Pod", lost)
    await bench.reconcile()
    ready = bench.condition("Ready")
    assert ready["reason"] == "NodeLost"
    assert ready["message"].endswith("does not respond: pod boiler-1 on node-1")


async def test_a_former_pod_that_does_not_end_is_named_when_it_is_overdue(bench: Bench) -> None:
    await bench.reconcile()
    former = pod({"running": {"startedAt": "2026-11-24T08:00:00Z"}})
    former["metadata"]["deletionTimestamp"] = "2026-11-24T09:00:00Z"
    bench.see("Pod", former)
    await bench.reconcile()
    assert bench.condition("Ready")["reason"] == "Starting"
    bench.clock.move(10)
    await bench.reconcile()
    ready = bench.condition("Ready")
    assert (ready["reason"], "boiler-1 on node-1" in ready["message"]) == ("PodNotEnding", True)


async def test_what_its_controller_writes_of_a_deployment_is_mostly_no_news(bench: Bench) -> None:
    await bench.reconcile()
    body = deepcopy(bench.cluster.objects["Deployment", "boiler"])

    def news(**status: Any) -> bool:
        body["metadata"]["resourceVersion"] = bench.cluster.version()
        body["status"] = status
        return bench.cache.put(Kind.DEPLOYMENT, deepcopy(body)) == KEY

    assert not news(observedGeneration=1)
    assert not news(observedGeneration=1, replicas=1, updatedReplicas=1)
    assert news(observedGeneration=1, replicas=1, updatedReplicas=1, readyReplicas=1)
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    assert news(observedGeneration=1, conditions=[failure])
    body["metadata"]["generation"] += 1  # somebody's change
    assert news(observedGeneration=1, conditions=[failure])


async def test_children_that_go_with_their_sensor_are_not_made_again(bench: Bench) -> None:
    await bench.reconcile()
    gone = bench.cluster.objects.pop(("Deployment", "boiler"))
    del bench.cluster.objects["Sensor", "boiler"]  # which no watch has reported yet
    bench.cache.drop(Kind.DEPLOYMENT, gone)
    bench.cluster.writes.clear()
    assert await bench.reconcile()
    assert bench.cluster.writes == []
    assert bench.cache.sensor(KEY) is None


async def test_the_same_trouble_in_other_words_is_not_written_again(bench: Bench) -> None:
    await bench.reconcile()
    bench.see("Pod", pod({"waiting": {"reason": "ErrImagePull", "message": "not found"}}))
    await bench.reconcile()
    bench.cluster.writes.clear()
    bench.see("Pod", pod({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}))
    await bench.reconcile()
    assert bench.cluster.writes == []


async def test_a_transition_has_its_own_time(bench: Bench) -> None:
    await bench.reconcile()
    bench.clock.move(60)
    await bench.settle()
    assert bench.condition("Ready")["lastTransitionTime"] == "2026-11-24T09:01:00Z"
    assert bench.condition("Accepted")["lastTransitionTime"] == "2026-11-24T09:00:00Z"


async def test_others_conditions_stay(bench: Bench) -> None:
    other = {"type": "Audited", "status": "True", "reason": "ByHand", "message": ""}
    other["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    body = sensor_body()
    body["status"] = {"conditions": [other]}
    bench.see("Sensor", body)
    await bench.reconcile()
    assert bench.status["conditions"][0] == other
    assert {c["type"] for c in bench.status["conditions"]} == {"Accepted", "Audited", "Ready"}
    bench.cluster.writes.clear()
    await bench.reconcile()
    assert bench.cluster.writes == []  # neither their order nor the other one is the operator's


async def test_a_condition_that_the_operator_does_not_know_stays(bench: Bench) -> None:
    await bench.reconcile()
    other = {"type": "Audited", "status": "True", "reason": "ByHand", "message": ""}
    bench.status["conditions"].append(other)
    bench.clock.move(60)
    await bench.settle()
    assert bench.condition("Ready")["status"] == "True"
    assert other in bench.status["conditions"]


async def test_the_first_look_at_a_cluster_that_is_right_writes_nothing(bench: Bench) -> None:
    await bench.reconcile()
    await bench.settle()
    fresh = Bench()
    for (kind, _), body in bench.cluster.objects.items():
        fresh.cluster.objects[kind, body["metadata"]["name"]] = body
        fresh.cache.put(Kind(kind), body)
    assert await fresh.reconciler.reconcile(KEY)
    assert fresh.cluster.writes == []
