"""Sensors as an API server takes or refuses them, and what it says."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_client import Cluster, KubectlError
from sensorpipe_operator.kube_api import ApiError
from sensorpipe_schema.sensor import API_VERSION, Sensor, SensorError
from support.kube import operator_process
from support.kube.operator_process import Namespace, explained
from support.kube.operator_sensors import sensor
from support.sensors import GOOD, WRONG, changed
from support.waiting import until

pytest_plugins = ["support.kube.operator_fixtures"]


async def test_wrong_sensors_are_refused_at_apply_with_the_field(
    cluster: Cluster, config_file: Path
) -> None:
    del config_file
    taken, asked = [], 0
    async with operator_process.api(cluster) as api:

        async def refusal(manifest: dict[str, Any]) -> str:
            manifest = json.loads(json.dumps(manifest, allow_nan=False))
            path = f"/apis/{API_VERSION}/namespaces/default/sensors"
            query = {"dryRun": "All", "fieldValidation": "Strict"}
            try:
                await api._call("POST", path, query, manifest)
            except ApiError as error:
                return error.message
            return ""

        assert await refusal(GOOD) == ""
        for path, value, field, _ in WRONG:
            if path.startswith(("metadata.namespace", "metadata.label")) or path == "metadata":
                continue
            try:
                told = await refusal(changed(path, value))
            except ValueError:  # neither JSON nor YAML could carry it
                continue
            asked += 1
            name = field.rsplit(".", 1)[-1].split("[")[0]
            if not told or name not in told:
                taken.append((path, value, told))
    assert taken == []
    assert asked >= 40


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("spec.interval", "9ms", "must be between 10ms and 1h"),
        ("spec.interval", "1h1ms", "must be between 10ms and 1h"),
        ("spec.interval", "10.5ms", "must be whole milliseconds"),
        ("spec.measurements[0].signal", {}, "must be exactly one of constant, normal, sine"),
        (
            "spec.measurements[0].signal",
            {"sum": [{"constant": {"value": 1}, "normal": {"mean": 1, "stdev": 1}}]},
            "must be exactly one of constant, normal, sine, linear, randomWalk",
        ),
        (
            "spec.measurements[0].signal",
            {"sine": {"amplitude": 1, "period": "367d"}},
            "must be between 10ms and 366d",
        ),
        (
            "spec.resources",
            {"limits": {"memory": "1G"}, "requests": {"memory": "1Gi"}},
            "requests.memory must not exceed limits.memory",
        ),
        ("metadata.name", "a.b", "metadata.name must be 1 to 63 lower-case letters"),
        ("metadata.name", "a" * 64, "metadata.name must be 1 to 63 lower-case letters"),
    ],
)
def test_what_is_said_to_who_applies_a_wrong_combination(
    cluster: Cluster, config_file: Path, path: str, value: Any, sentence: str
) -> None:
    del config_file
    manifest = changed(path, value)
    with pytest.raises(SensorError):
        Sensor.parse(manifest)
    with pytest.raises(KubectlError) as caught:
        cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(manifest))
    assert sentence in str(caught.value)


def test_what_slips_through_is_not_accepted_and_reaches_no_pod(namespace: Namespace) -> None:
    namespace.apply(sensor("boiler", interval="10.00001ms"))  # nearly whole, which is all CEL sees
    namespace.wait_reason("boiler", "Invalid", kind="Accepted")
    message = namespace.condition("boiler", "Accepted")["message"]
    assert message.startswith("spec.interval: must be ")
    assert namespace.condition("boiler")["reason"] == "NotAccepted"
    assert namespace.names("deployments") == []
    assert "Invalid" in namespace.kubectl("get", "events")


def test_a_generated_name_is_taken(namespace: Namespace) -> None:
    made = sensor("boiler", replicas=0)
    made["metadata"] = {"generateName": "boiler-"}
    name = namespace.kubectl("create", "-f", "-", "-o", "name", stdin=yaml.safe_dump(made))
    namespace.wait_reason(name.strip().partition("/")[2], "ScaledToZero")


def test_what_a_newer_definition_knows_is_passed_over(
    cluster: Cluster, namespace: Namespace
) -> None:
    crd = json.loads(cluster.kubectl("get", "crd/sensors.sensorpipe.dev", "-o", "json"))
    where = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/location"
    patch = ["patch", crd["kind"], crd["metadata"]["name"], "--type=json", "-p"]
    added = {"op": "add", "path": where, "value": {"type": "string"}}
    cluster.kubectl(*patch, json.dumps([added]))
    try:
        until(lambda: "location" in cluster.kubectl("explain", "sensor.spec"))
        namespace.apply(sensor("boiler", replicas=0, location="roof"))
        assert namespace.get("sensor/boiler")["spec"]["location"] == "roof"
        namespace.wait_reason("boiler", "ScaledToZero")
        assert namespace.condition("boiler", "Accepted")["status"] == "True"
    finally:
        cluster.kubectl(*patch, json.dumps([{"op": "remove", "path": where}]))
        # The API server publishes a schema some time after it took it: the next test reads it.
        until(lambda: "location" not in cluster.kubectl("explain", "sensor.spec"))


@pytest.mark.parametrize("interval", ["10ms", "1h", "0.5s", "1m30s", "0.001h", "59m60s", "0.01d"])
def test_intervals_that_are_taken(cluster: Cluster, config_file: Path, interval: str) -> None:
    del config_file
    manifest = changed("spec.interval", interval)
    Sensor.parse(manifest)
    cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(manifest))


def test_kubectl_explains_every_level(cluster: Cluster, config_file: Path) -> None:
    del config_file
    for at in ("", ".spec", ".spec.measurements", ".spec.measurements.signal.sine", ".status"):
        explained(cluster, f"sensor{at}")
    said = explained(cluster, "sns.spec.measurements.signal.sum.sine.period")
    assert "Time from crest to crest" in said
