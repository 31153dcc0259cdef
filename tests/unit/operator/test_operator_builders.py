"""The pods that a Sensor gets: locked down, drained, each with its own devices."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from sensorpipe_generator.settings import Settings as GeneratorProgram
from sensorpipe_operator.desired.builders import build_children, content
from sensorpipe_operator.desired.drift import matches
from sensorpipe_operator.desired.pods import DRAIN_SECONDS, GRACE_SECONDS
from sensorpipe_operator.names import selector
from sensorpipe_schema.sensor import Sensor
from support.kube.operator_parts import SETTINGS, sensor
from support.sensors import sensors


def pod_spec(**spec: Any) -> Any:
    return build_children(sensor(**spec), "u", SETTINGS)[1]["spec"]["template"]["spec"]


def test_a_pod_may_do_nothing_but_publish() -> None:
    spec = pod_spec()
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_pod_is_given_the_time_to_drain() -> None:
    assert GRACE_SECONDS > DRAIN_SECONDS
    assert pod_spec()["terminationGracePeriodSeconds"] == GRACE_SECONDS


def test_an_update_never_has_two_pods_for_one_device() -> None:
    assert build_children(sensor(), "u", SETTINGS)[1]["spec"]["strategy"] == {"type": "Recreate"}


def test_the_broker_comes_from_the_secret() -> None:
    settings = replace(SETTINGS, broker_ca_key="ca.crt")
    spec = build_children(sensor(), "u", settings)[1]["spec"]["template"]["spec"]
    env = {variable["name"]: variable for variable in spec["containers"][0]["env"]}
    assert env["SENSORPIPE_MQTT_URL"]["valueFrom"]["secretKeyRef"] == {
        "name": "broker",
        "key": "url",
    }
    assert env["SENSORPIPE_MQTT_CA_FILE"]["value"] == "/etc/sensorpipe/broker/ca.crt"
    assert {volume["name"] for volume in spec["volumes"]} == {"sensor", "broker"}


def test_the_generator_takes_what_it_is_given(tmp_path: Any) -> None:
    config_map, *deployments = build_children(sensor(replicas=2), "u", SETTINGS)
    file = tmp_path / "sensor.json"
    file.write_text(next(iter(config_map["data"].values())))
    seen = []
    for deployment in deployments:
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        env = {v["name"]: v["value"] for v in container["env"] if "value" in v}
        program = GeneratorProgram.read({**env, "SENSORPIPE_SENSOR": str(file)})
        seen += list(program.share.of(program.sensor.spec.count))
    assert seen == [0, 1, 2, 3]


def test_what_concerns_only_the_number_of_pods_changes_no_content() -> None:
    assert content(sensor(suspend=True, replicas=7)) == content(sensor())
    assert content(sensor(seed=1)) != content(sensor())


def test_another_content_has_another_key_and_another_template() -> None:
    old, new = (
        build_children(sensor(), "u", SETTINGS),
        build_children(sensor(seed=1), "u", SETTINGS),
    )
    assert set(old[0]["data"]).isdisjoint(new[0]["data"])
    assert old[1]["spec"]["template"] != new[1]["spec"]["template"]


@pytest.mark.parametrize(
    ("given_", "requests", "limits"),
    [
        (None, {"cpu": "50m", "memory": "96Mi"}, {"cpu": "1", "memory": "256Mi"}),
        (
            {"requests": {"memory": "1Gi"}},
            {"cpu": "50m", "memory": "1Gi"},
            {"cpu": "1", "memory": "1Gi"},
        ),
        (
            {"limits": {"cpu": "20m"}},
            {"cpu": "20m", "memory": "96Mi"},
            {"cpu": "20m", "memory": "256Mi"},
        ),
        (
            {"limits": {"cpu": 2, "ephemeral-storage": "1G"}},
            {"cpu": "50m", "memory": "96Mi"},
            {"cpu": "2", "memory": "256Mi", "ephemeral-storage": "1G"},
        ),
    ],
)
def test_resources(given_: Any, requests: dict[str, str], limits: dict[str, str]) -> None:
    spec = pod_spec() if given_ is None else pod_spec(resources=given_)
    requests = {"ephemeral-storage": "50Mi", **requests}
    limits = {"ephemeral-storage": "2Gi", **limits}
    assert spec["containers"][0]["resources"] == {"requests": requests, "limits": limits}


@given(sensors)
def test_children_are_found_by_the_selector_and_are_the_sensors(manifest: dict[str, Any]) -> None:
    made = Sensor.parse(manifest)
    config_map, *deployments = build_children(made, "u", SETTINGS)
    assert config_map["metadata"]["name"] == deployments[0]["metadata"]["name"] == made.name
    assert len({body["metadata"]["name"] for body in deployments}) == max(1, made.spec.replicas)
    wanted = dict(part.split("=") for part in selector(made.name).split(","))
    templates = [body["spec"]["template"]["metadata"]["labels"] for body in deployments]
    for body, labels in zip(deployments, templates, strict=True):
        assert matches(labels, body["spec"]["selector"]["matchLabels"])
        assert matches(labels, wanted)
        owner = body["metadata"]["ownerReferences"][0]
        assert (owner["uid"], owner["controller"], owner["name"]) == ("u", True, made.name)
    assert len({json.dumps(labels) for labels in templates}) == len(templates)


@pytest.mark.parametrize(
    ("live", "desired", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"cpu": "1"}, {"cpu": "1000m"}, True),
        ({"cpu": "1"}, {"cpu": "100m"}, False),
        ([{"name": "sidecar"}, {"name": "g", "x": 1}], [{"name": "g"}], True),
        ([{"name": "sidecar"}], [{"name": "g"}], False),
        (["ALL", "NET"], ["ALL"], False),
        ({"a": None}, {"a": {}}, False),
        ({}, {"a": []}, False),
    ],
)
def test_drift(live: Any, desired: Any, *, same: bool) -> None:
    assert matches(live, desired) is same
