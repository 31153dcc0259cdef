"""Sensors on a real Kubernetes: what a user does with kubectl, and what then happens."""

import json
from itertools import pairwise

from cluster_client import Cluster
from sensorpipe_operator.names import MANAGER
from sensorpipe_schema.sensor import API_VERSION
from support.kube.operator_process import Namespace, Operator, frozen
from support.kube.operator_sensors import sensor, settled
from support.received_readings import receiving
from support.services import ROOT
from support.waiting import eventually, until

pytest_plugins = ["support.kube.operator_fixtures"]


def running_pods(namespace: Namespace, selector: str) -> int:
    return len(
        namespace.get("pods", "-l", selector, "--field-selector=status.phase=Running")["items"]
    )


async def test_sensors_publish_and_a_change_loses_nothing(
    namespace: Namespace, broker: int
) -> None:
    async with receiving(broker, "test") as received:
        namespace.apply(sensor("boiler", count=4))
        namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")
        await eventually(lambda: sum(map(len, received.of("boiler").values())) >= 40)
        (readings,) = received.of("boiler").values()
        times = [reading.ts for reading in readings]
        assert {later - earlier for earlier, later in zip(times, times[4:], strict=False)} == {500}
        for number, change in enumerate(({"interval": "250ms"}, {"count": 6}, {"seed": 7}), 2):
            patch = json.dumps({"spec": change})
            namespace.kubectl("patch", "sensor/boiler", "--type=merge", "-p", patch)
            await eventually(lambda n=number: len(received.of("boiler")) == n)  # type: ignore[misc]
            *_, newest = received.of("boiler").values()
            await eventually(lambda new=newest: len(new) > 48)  # type: ignore[misc]
        assert received.faults("boiler") == []
        *former, last = received.of("boiler").values()
        times = [reading.ts for reading in last]
        assert {b - a for a, b in zip(times, times[6:], strict=False)} == {250}
        for old, new in zip(former, [*former[1:], last], strict=True):
            assert old[-1].ts < new[0].ts  # no device was there twice


async def test_pods_share_the_devices_at_every_scale(namespace: Namespace, broker: int) -> None:
    async with receiving(broker, "test") as received:
        namespace.apply(sensor("boiler", count=6))
        await eventually(lambda: bool(received.of("boiler")))
        for replicas in (3, 2):
            former = set(received.of("boiler"))
            namespace.kubectl("scale", "sensor/boiler", f"--replicas={replicas}")
            await eventually(
                lambda n=replicas, old=former: (  # type: ignore[misc]
                    [
                        len(held) > 20
                        for src, held in received.of("boiler").items()
                        if src not in old
                    ]
                    == [True] * n
                )
            )
            namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")
            sources = set(received.of("boiler")) - former
            last = max(
                readings[-1].ts for src, readings in received.of("boiler").items() if src in former
            )
            assert all(received.of("boiler")[src][0].ts > last for src in sources)
            held = [r for s in sources for r in received.of("boiler")[s]]
            begin = max(received.of("boiler")[s][0].ts for s in sources) // 500 * 500 + 500
            tick = sorted(r.ts - begin for r in held if begin <= r.ts < begin + 500)
            assert tick == [0, 83, 166, 250, 333, 416]
            selector = namespace.get("sensor/boiler")["status"]["selector"]
            until(lambda n=replicas, s=selector: running_pods(namespace, s) == n)  # type: ignore[misc]
        namespace.kubectl("scale", "sensor/boiler", "--replicas=0")
        namespace.wait_reason("boiler", "ScaledToZero")
        chosen = ["-l", "sensorpipe.dev/sensor=boiler"]
        until(lambda: not namespace.get("pods", *chosen)["items"])
        assert received.faults("boiler") == []
        namespace.kubectl("scale", "sensor/boiler", "--replicas=1")
        namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")


def test_suspend_stops_and_resumes(namespace: Namespace, broker: int) -> None:
    del broker
    namespace.apply(sensor("boiler"))
    namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")
    for suspend, reason, devices in ((True, "Suspended", 0), (False, "Running", 1)):
        patch = json.dumps({"spec": {"suspend": suspend}})
        namespace.kubectl("patch", "sensor/boiler", "--type=merge", "-p", patch)
        namespace.wait_reason("boiler", reason)
        status = namespace.get("sensor/boiler")["status"]
        assert (status["devices"], status["readyReplicas"]) == (devices, devices)


def test_kubectl_get_tells_the_truth(namespace: Namespace, broker: int) -> None:
    del broker
    namespace.apply(sensor("boiler", count=10, interval="2s"))
    namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")
    head, row = namespace.kubectl("get", "sns").splitlines()
    assert head.split() == ["NAME", "FACILITY", "DEVICES", "REPLICAS", "READY", "READINGS/S", "AGE"]
    assert row.split()[:-1] == ["boiler", "boiler", "10", "1", "True", "5"]
    assert "boiler" in namespace.kubectl("get", "sns", "--field-selector=spec.facility=boiler")
    assert namespace.kubectl("get", "sns", "--field-selector=spec.facility=other") == ""


async def test_the_samples_publish_what_they_say(namespace: Namespace, broker: int) -> None:
    topics = {
        f"sensor_readings/facility_{number}/{name}"
        for number in (1, 2, 3)
        for name in ("humidity", "pressure", "temperature")
    }
    async with receiving(broker, "test") as received:
        namespace.kubectl("apply", "-f", str(ROOT / "manifests/samples"))
        namespace.kubectl("wait", "--for=condition=Ready", "sensors", "--all", "--timeout=90s")
        await eventually(
            lambda: (
                [
                    len(held) > 2
                    for sources in received.readings.values()
                    for held in sources.values()
                ]
                == [True] * len(topics)
            )
        )
        assert set(received.readings) == topics
        for sources in received.readings.values():
            (readings,) = sources.values()
            times = [reading.ts for reading in readings]
            assert {later - earlier for earlier, later in pairwise(times)} == {5000}
    told = namespace.kubectl("get", "events", "--field-selector=involvedObject.kind=Sensor")
    assert told == ""  # all went as expected


def test_others_conditions_stay(namespace: Namespace, operator: Operator) -> None:
    namespace.apply(sensor("boiler", replicas=0))
    namespace.wait_reason("boiler", "ScaledToZero")
    audited = {"type": "Audited", "status": "True", "reason": "ByHand", "message": ""}
    audited["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    manifest = {"apiVersion": API_VERSION, "kind": "Sensor", "metadata": {"name": "boiler"}}
    applied = json.dumps({**manifest, "status": {"conditions": [audited]}})
    by = ["--server-side", "--subresource=status", "--field-manager=auditor", "-f", "-"]
    namespace.kubectl("apply", *by, stdin=applied)
    patched = {**audited, "type": "Watched"}
    last = json.dumps([{"op": "add", "path": "/status/conditions/0", "value": patched}])
    patch = ["--subresource=status", "--type=json", "-p", last]
    namespace.kubectl("patch", "sensor/boiler", *patch)
    for generation in (2, 3):
        change = json.dumps({"spec": {"seed": generation}})
        namespace.kubectl("patch", "sensor/boiler", "--type=merge", "-p", change)
        until(lambda n=generation: settled(namespace, n) == ["boiler"])  # type: ignore[misc]
    conditions = {c["type"]: c for c in namespace.get("sensor/boiler")["status"]["conditions"]}
    assert set(conditions) == {"Accepted", "Audited", "Ready", "Watched"}
    assert (conditions["Audited"], conditions["Watched"]) == (audited, patched)
    fields = namespace.get("sensor/boiler", "--show-managed-fields")["metadata"]["managedFields"]
    (mine,) = [
        held["fieldsV1"]["f:status"]["f:conditions"]
        for held in fields
        if (held["manager"], held.get("subresource")) == (MANAGER, "status")
    ]
    assert set(mine) == {'k:{"type":"Accepted"}', 'k:{"type":"Ready"}'}
    until(lambda: not operator.metric("sensorpipe_operator_queue"))
    written = operator.metric("sensorpipe_operator_writes_total")
    namespace.kubectl("annotate", "sensor/boiler", "look=again")
    namespace.apply(sensor("other", replicas=0))
    namespace.wait_reason("other", "ScaledToZero")
    assert operator.metric("sensorpipe_operator_writes_total") - written == 3  # all of the other


# --- drift and deletion ---


def test_drift_is_undone_and_children_come_back(namespace: Namespace) -> None:
    namespace.apply(sensor("boiler", replicas=0))
    namespace.wait_reason("boiler", "ScaledToZero")
    namespace.kubectl("set", "image", "deployment/boiler", "generator=other:1")
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    until(lambda: "other" not in namespace.kubectl("get", "deploy/boiler", "-o", image))
    uid = namespace.get("deploy/boiler")["metadata"]["uid"]
    namespace.kubectl("delete", "deploy/boiler", "configmap/boiler")
    until(lambda: namespace.names("deployments") == ["boiler"])
    until(lambda: "boiler" in namespace.names("configmaps"))
    assert namespace.get("deploy/boiler")["metadata"]["uid"] != uid


def test_nothing_is_left_of_a_deleted_sensor(namespace: Namespace) -> None:
    namespace.apply(*(sensor(name, replicas=2) for name in ("a", "b")))
    until(lambda: namespace.names("deployments") == ["a", "a.1", "b", "b.1"])
    namespace.kubectl("delete", "sensor/a")
    until(lambda: namespace.names("deployments") == ["b", "b.1"])
    namespace.kubectl("delete", "sensors", "--all")
    until(lambda: namespace.ours() == [])


def test_deletion_needs_no_operator(
    cluster: Cluster, namespace: Namespace, operator: Operator
) -> None:
    namespace.apply(sensor("boiler", replicas=0))
    namespace.wait_reason("boiler", "ScaledToZero")
    with frozen(operator):
        namespace.kubectl("delete", "sensor/boiler")
        until(lambda: namespace.ours() == [])
        namespace.apply(sensor("boiler", replicas=0))
        cluster.kubectl("delete", "namespace", namespace.name, "--timeout=60s")
        assert namespace.gone()
