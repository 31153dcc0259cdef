"""The Sensor's definition on a cluster has exactly the fields that the command line knows."""

import re
from collections.abc import Iterator
from typing import Any

import yaml
from sensorpipe_schema import sensor
from sensorpipe_schema.shape import Array, OneOf, Record, Shape
from support.services import ROOT

FILE = ROOT / "charts/sensorpipe/files/crds/sensors.yaml"
VERSION: dict[str, Any] = yaml.safe_load(FILE.read_text())["spec"]["versions"][0]
SPEC: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]["properties"]["spec"]

ONE_OF = re.compile(r"has\(self\.(\w+)\)")


def of_shape(shape: Shape, at: str = "spec") -> Iterator[str]:
    """Yield the path of each field of a shape."""
    match shape:
        case Record():
            inner = {name: field.shape for name, field in shape.fields.items()}
        case OneOf():
            inner = dict(shape.options)
        case Array():
            yield from of_shape(shape.item, f"{at}[]")
            return
        case _:
            return
    for name, each in inner.items():
        yield f"{at}.{name}"
        yield from of_shape(each, f"{at}.{name}")


def of_schema(schema: dict[str, Any], at: str = "spec") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path and the schema of each field of a schema."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{at}.{name}", inner
        yield from of_schema(inner, f"{at}.{name}")
    if "items" in schema:
        yield f"{at}[]", schema["items"]
        yield from of_schema(schema["items"], f"{at}[]")


def test_the_definition_has_every_field_that_the_command_line_knows() -> None:
    defined = {at for at, _ in of_schema(SPEC) if not at.endswith("[]")}
    assert defined == set(of_shape(sensor._SPEC))


def test_a_rule_that_one_of_several_is_given_names_all_of_them() -> None:
    rules = [
        (set(ONE_OF.findall(rule["rule"])), rule["message"], set(schema["properties"]))
        for _, schema in of_schema(SPEC)
        for rule in schema.get("x-kubernetes-validations", [])
        if "exactly one of" in rule["message"]
    ]
    assert len(rules) == 2  # a signal, and a part of a sum
    for tested, message, fields in rules:
        assert tested == fields
        assert set(message.removeprefix("must be exactly one of ").split(", ")) == fields
