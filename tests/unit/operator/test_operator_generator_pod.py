"""What an administrator adds to generator pods, and what of it is refused at the start."""

import json
from dataclasses import replace
from typing import Any

import pytest
from sensorpipe_operator.desired.builders import build_children
from sensorpipe_operator.desired.drift import matches
from sensorpipe_operator.generator_pod import OWN_VARIABLES, OWN_VOLUMES, GeneratorPod
from sensorpipe_operator.names import selector
from support.kube.operator_parts import SETTINGS, sensor

EVERYTHING: dict[str, Any] = {
    "podLabels": {"team": "water", "sidecar.istio.io/inject": "false"},
    "podAnnotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [
        {"key": "sim", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "sim", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
    ],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "priorityClassName": "low",
    "serviceAccountName": "simulators",
    "extraEnv": [
        {"name": "HTTPS_PROXY", "value": "http://proxy:3128"},
        {"name": "SENSORPIPE_BUFFER", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ],
    "extraVolumes": [{"name": "extra", "emptyDir": {"sizeLimit": "1Mi"}}],
    "extraVolumeMounts": [
        {"name": "extra", "mountPath": "/one", "readOnly": True},
        {"name": "extra", "mountPath": "/two", "subPath": "two"},
    ],
}


def template(added: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Return the pod template of a Sensor's generator with these additions."""
    given = replace(SETTINGS, pod=GeneratorPod.parse(json.dumps(added)), **settings)
    found: dict[str, Any] = build_children(sensor(), "u", given)[1]["spec"]["template"]
    return found


def test_everything_arrives_beside_what_the_pod_has_anyway() -> None:
    plain, more = template({}), template(EVERYTHING)
    spec, (container,) = more["spec"], more["spec"]["containers"]
    (own,) = plain["spec"]["containers"]

    assert more["metadata"]["labels"] == plain["metadata"]["labels"] | EVERYTHING["podLabels"]
    assert more["metadata"]["annotations"] == EVERYTHING["podAnnotations"]
    for name in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert spec[name] == EVERYTHING[name]
        assert name not in plain["spec"]
    assert spec["serviceAccountName"] == "simulators"
    assert spec["volumes"] == plain["spec"]["volumes"] + EVERYTHING["extraVolumes"]
    assert container["env"] == own["env"] + EVERYTHING["extraEnv"]
    assert container["volumeMounts"] == own["volumeMounts"] + EVERYTHING["extraVolumeMounts"]
    assert container["securityContext"] == own["securityContext"]
    assert spec["automountServiceAccountToken"] is False


def test_a_pod_leaves_its_user_to_the_platform() -> None:
    assert template({})["spec"]["securityContext"]["runAsUser"] == 65532
    context = template({"fixedUser": False})["spec"]["securityContext"]
    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_what_the_operator_sets_itself_cannot_be_added() -> None:
    (container,) = template({}, broker_ca_key="ca.crt")["spec"]["containers"]
    volumes = template({}, broker_ca_key="ca.crt")["spec"]["volumes"]
    assert {one["name"] for one in container["env"]} == OWN_VARIABLES
    assert {one["name"] for one in volumes} == OWN_VOLUMES
    for label in selector("boiler").split(","):
        with pytest.raises(ValueError, match="podLabels"):
            GeneratorPod.parse(json.dumps({"podLabels": {label.partition("=")[0]: "x"}}))


@pytest.mark.parametrize(
    ("added", "field"),
    [
        ({"nodeselector": {}}, "nodeselector"),
        ({"podLabels": {"team": 1}}, "podLabels"),
        ({"podLabels": {"team": "a b"}}, "podLabels"),
        ({"podAnnotations": {"a b": "c"}}, "podAnnotations"),
        ({"podAnnotations": {"sensorpipe.dev/desired": "c"}}, "podAnnotations"),
        ({"nodeSelector": {"disk": "a/b"}}, "nodeSelector"),
        ({"tolerations": [{"effect": "No"}]}, "tolerations"),
        ({"tolerations": [{"taint": "a"}]}, "taint"),
        ({"affinity": {"node": {}}}, "node"),
        ({"extraEnv": [{"value": "a"}]}, "name"),
        ({"extraEnv": [{"name": "SENSORPIPE_SHARE", "value": "0/1"}]}, "extraEnv"),
        ({"extraEnv": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}, "extraEnv"),
        ({"extraVolumes": [{"name": "sensor", "emptyDir": {}}]}, "extraVolumes"),
        ({"extraVolumes": [{"emptyDir": {}}]}, "extraVolumes"),
        ({"extraVolumeMounts": [{"name": "a", "mountPath": "/a"}]}, "extraVolumeMounts"),
        (
            {
                "extraVolumes": [{"name": "a", "emptyDir": {}}],
                "extraVolumeMounts": [{"name": "a", "mountPath": "/etc/sensorpipe/sensor"}],
            },
            "extraVolumeMounts",
        ),
        ({"priorityClassName": None}, "priorityClassName"),
    ],
    ids=str,
)
def test_what_pods_cannot_have_is_refused_with_the_fields_name(
    added: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValueError, match=field):
        GeneratorPod.parse(json.dumps(added))


def test_several_tolerations_of_one_taint_are_no_drift() -> None:
    spec = template(EVERYTHING)["spec"]
    assert matches(json.loads(json.dumps(spec)), spec)
    live = json.loads(json.dumps(spec))
    live["tolerations"][0]["effect"] = "PreferNoSchedule"
    assert not matches(live, spec)
