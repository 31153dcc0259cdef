"""The Feed's definition: what `kubectl explain` shows, and that `sensorpipe check` has the same."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from sensorpipe_schema.feed import spec as feed_spec
from sensorpipe_schema.feed.manifest import Feed
from sensorpipe_schema.feed.spec import COUNTER, MAX_READINGS, SPEC
from sensorpipe_schema.sensor import API_VERSION
from sensorpipe_schema.shape import Array, Record, Shape
from support.bad_feeds import BAD
from support.definitions import assert_described_and_bounded, strict, walk
from support.feeds import GOOD, SHIPPED, manifest
from support.services import ROOT

FILE = ROOT / "charts/sensorpipe/files/crds/feeds.yaml"
CRD: dict[str, Any] = yaml.safe_load(FILE.read_text())
VERSION: dict[str, Any] = CRD["spec"]["versions"][0]
SCHEMA: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]

BY_CEL = (
    *("must be levels", "'", "{device...} must", "each {x} must", "must not overlap"),
    *("{site} is", "{x} is", "has a brace", "must be 1 to 63", "must be a path", "needs "),
    *("must have either", "must be unique", "must be the name", "must have no path"),
    "a payload number",
)
"""What rules in CEL refuse, or a list's keys: only an API server judges (test_operator_feeds)."""


EVERY = [
    (at, found) for at, found in walk(SCHEMA) if at not in (".metadata", ".apiVersion", ".kind")
]


def of_shape(shape: Shape, at: str = "spec") -> Iterator[str]:
    """Yield the path of each field of a shape."""
    if isinstance(shape, Array):
        yield from of_shape(shape.item, f"{at}[]")
    if at == "spec.identity":
        shape = COUNTER
    if isinstance(shape, Record):
        for name, field in shape.fields.items():
            yield f"{at}.{name}"
            yield from of_shape(field.shape, f"{at}.{name}")


OPEN_AT = (".metadata", ".spec.identity")
"""Where the API server keeps fields that the schema does not name."""

VALIDATOR = jsonschema.Draft202012Validator(strict(SCHEMA, OPEN_AT))


@pytest.mark.parametrize(("at", "schema"), EVERY, ids=[at or "root" for at, _ in EVERY])
def test_everything_is_described_and_bounded(at: str, schema: dict[str, Any]) -> None:
    assert_described_and_bounded(at, schema)
    preserved = "x-kubernetes-preserve-unknown-fields" in schema
    assert preserved == (at == ".spec.identity")
    assert ("type" not in schema) == (at == ".spec.identity")


def test_it_has_every_field_that_the_command_line_knows() -> None:
    defined = {f"spec{at}" for at, _ in walk(SCHEMA["properties"]["spec"]) if at[-2:] != "[]"}
    assert defined - {"spec"} == set(of_shape(SPEC))


def test_limits_and_words_are_those_of_the_command_line() -> None:
    fields = SCHEMA["properties"]["spec"]["properties"]
    assert fields["readings"]["maxItems"] == MAX_READINGS
    assert tuple(fields["payload"]["enum"]) == feed_spec.PAYLOADS
    assert fields["time"]["properties"]["format"]["enum"] == list(feed_spec.FORMATS)


def test_defaults_are_those_of_the_command_line() -> None:
    made = Feed.parse(GOOD).to_manifest()["spec"]
    pairs = [(SCHEMA["properties"]["spec"]["properties"], made)]
    pairs.append((pairs[0][0]["readings"]["items"]["properties"], made["readings"][0]))
    pairs.append((pairs[0][0]["time"]["properties"], made["time"]))
    compared = 0
    for fields, found in pairs:
        for name, schema in fields.items():
            if "default" in schema and name != "at":
                compared += 1
                assert found[name] == schema["default"], name
    assert compared >= 6


def test_what_kubectl_calls_it_and_shows_of_it() -> None:
    assert CRD["metadata"]["name"] == "feeds.sensorpipe.dev"
    assert f"{CRD['spec']['group']}/{VERSION['name']}" == API_VERSION
    shown = [c["name"] for c in VERSION["additionalPrinterColumns"] if not c.get("priority")]
    assert shown == ["Topic", "Ready", "Topics", "Readings/s", "Refused", "Reason", "Age"]
    assert (ROOT / "manifests/crd-feeds.yaml").resolve() == FILE


def test_every_rule_says_what_is_allowed() -> None:
    rules = [
        rule for _, found in walk(SCHEMA) for rule in found.get("x-kubernetes-validations", [])
    ]
    assert len(rules) >= 20
    assert all("must" in rule["message"] for rule in rules)


def test_a_new_feed_is_not_said_to_be_anything_yet() -> None:
    conditions = SCHEMA["properties"]["status"]["default"]["conditions"]
    assert {c["type"]: c["status"] for c in conditions} == {
        "Accepted": "Unknown",
        "Ready": "Unknown",
    }
    jsonschema.validate({"conditions": conditions}, strict(SCHEMA["properties"]["status"], OPEN_AT))


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.yaml")), ids=lambda file: file.stem)
def test_what_is_shipped_is_taken_with_and_without_defaults(file: Any) -> None:
    made = yaml.safe_load(file.read_text())
    VALIDATOR.validate(made)
    full = Feed.parse(made).to_manifest()
    full["spec"] = {name: value for name, value in full["spec"].items() if value is not None}
    VALIDATOR.validate(full)


def by_schema() -> Iterator[tuple[dict[str, Any], str]]:
    """Yield what the schema itself is to refuse, as far as JSON can carry it."""
    for spec, at, said in BAD:
        if said.startswith(BY_CEL):
            continue
        try:
            if json.loads(json.dumps(spec, allow_nan=False)) == spec:
                yield spec, at
        except ValueError:
            continue


WITHOUT_CEL = list(by_schema())


@pytest.mark.parametrize(("spec", "at"), WITHOUT_CEL, ids=[at for _, at in WITHOUT_CEL])
def test_what_the_command_line_refuses_the_schema_refuses(spec: dict[str, Any], at: str) -> None:
    del at
    assert not VALIDATOR.is_valid(manifest(**spec))


def test_those_are_many() -> None:
    assert len(WITHOUT_CEL) >= 20
