"""The Sensor's definition: what `kubectl explain` shows, and what it refuses at once."""

from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from sensorpipe_schema.sensor import API_VERSION, Sensor, SensorError
from support.definitions import assert_described_and_bounded, strict, walk
from support.sensors import GOOD, MISSING, WRONG, changed, sensors
from support.services import ROOT

FILE = ROOT / "charts/sensorpipe/files/crds/sensors.yaml"
CRD: dict[str, Any] = yaml.safe_load(FILE.read_text())
VERSION: dict[str, Any] = CRD["spec"]["versions"][0]
SCHEMA: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]

BY_CEL = ("spec.interval", "spec.measurements[0].signal", "metadata.name")
"""Where the rest of a rule is CEL: only an API server can judge that (test_operator_cluster)."""


EVERY = [
    (at, schema) for at, schema in walk(SCHEMA) if at not in (".metadata", ".apiVersion", ".kind")
]


OPEN_AT = (".metadata",)
"""Where the API server keeps fields that the schema does not name."""

VALIDATOR = jsonschema.Draft202012Validator(strict(SCHEMA, OPEN_AT))


def without_nulls(value: Any) -> Any:
    """Return what an API server makes of null in a field that may not be null: nothing."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value] if isinstance(value, list) else value


def structural(manifest: dict[str, Any]) -> bool:
    names = [m.get("name") for m in _list(manifest) if isinstance(m, dict)]
    unique = len(names) == len({repr(name) for name in names})  # x-kubernetes-list-map-keys
    return unique and VALIDATOR.is_valid(without_nulls(manifest))


def _list(manifest: dict[str, Any]) -> list[Any]:
    spec = manifest.get("spec")
    found = spec.get("measurements") if isinstance(spec, dict) else None
    return found if isinstance(found, list) else []


@pytest.mark.parametrize(("at", "schema"), EVERY, ids=[at or "root" for at, _ in EVERY])
def test_everything_is_described_and_bounded(at: str, schema: dict[str, Any]) -> None:
    assert_described_and_bounded(at, schema)
    assert "x-kubernetes-preserve-unknown-fields" not in schema
    if "type" not in schema:
        assert schema["x-kubernetes-int-or-string"]


def test_what_kubectl_calls_it_and_shows_of_it() -> None:
    names = CRD["spec"]["names"]
    assert CRD["metadata"]["name"] == "sensors.sensorpipe.dev"
    assert f"{CRD['spec']['group']}/{VERSION['name']}" == API_VERSION
    assert (names["shortNames"], names["categories"]) == (["sns"], ["sensorpipe", "all"])
    shown = [c["name"] for c in VERSION["additionalPrinterColumns"] if not c.get("priority")]
    assert shown == ["Facility", "Devices", "Replicas", "Ready", "Readings/s", "Age"]
    assert VERSION["subresources"]["scale"] == {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }


def test_kubectl_and_the_chart_have_one_file() -> None:
    assert (ROOT / "manifests/crd.yaml").resolve() == FILE


def test_every_rule_says_what_is_allowed() -> None:
    rules = [
        rule for _, schema in walk(SCHEMA) for rule in schema.get("x-kubernetes-validations", [])
    ]
    assert len(rules) >= 8
    assert all("must" in rule["message"] for rule in rules)


def test_defaults_are_those_of_the_command_line() -> None:
    spec = Sensor.parse(GOOD).to_manifest()["spec"]
    for name, schema in SCHEMA["properties"]["spec"]["properties"].items():
        if "default" in schema:
            assert spec[name] == schema["default"]


def test_a_new_sensor_is_not_said_to_be_anything_yet() -> None:
    conditions = SCHEMA["properties"]["status"]["default"]["conditions"]
    assert {c["type"]: c["status"] for c in conditions} == {
        "Accepted": "Unknown",
        "Ready": "Unknown",
    }
    jsonschema.validate({"conditions": conditions}, strict(SCHEMA["properties"]["status"], OPEN_AT))


@given(sensors)
def test_what_the_command_line_takes_the_cluster_takes(manifest: dict[str, Any]) -> None:
    assert structural(manifest)
    assert structural(Sensor.parse(manifest).to_manifest())


WRONG_SPECS = [row for row in WRONG if row[0].startswith("spec.") or row[:2] == ("spec", MISSING)]
"""Without those in the metadata, which Kubernetes itself judges."""


@pytest.mark.parametrize(("path", "value", "field", "message"), WRONG_SPECS)
def test_what_the_command_line_refuses_the_cluster_refuses(
    path: str, value: Any, field: str, message: str
) -> None:
    manifest = changed(path, value)
    with pytest.raises(SensorError):
        Sensor.parse(manifest)
    by_cel = path in BY_CEL and value is not MISSING
    by_cel = by_cel or field.startswith("spec.resources.requests")
    assert not structural(manifest) or by_cel, (field, message)
