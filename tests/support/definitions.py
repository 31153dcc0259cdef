"""Custom resource definitions, as tests read them."""

import re
from collections.abc import Container, Iterator
from copy import deepcopy
from typing import Any


def walk(schema: dict[str, Any], at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each level of a schema with its path."""
    yield at, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{at}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{at}[]")


def strict(schema: dict[str, Any], open_at: Container[str]) -> dict[str, Any]:
    """Return a schema for jsonschema, which is to refuse unknown fields as kubectl does.

    At the paths `open_at` it refuses none.
    """
    made = deepcopy(schema)
    for at, inner in walk(made):
        if "properties" in inner and at not in open_at:
            inner["additionalProperties"] = False
        if "pattern" in inner:  # Python's $ lets a line's end pass, Go's does not
            inner["pattern"] = re.sub(r"\$$", r"\\Z", inner["pattern"])
    return made


def assert_described_and_bounded(at: str, schema: dict[str, Any]) -> None:
    """Assert that a level has a description and, as far as it has a type, a bound."""
    assert schema.get("description", "").rstrip().endswith(".")
    match schema.get("type"):
        case "string":
            assert "enum" in schema or "maxLength" in schema or schema.get("format"), at
        case "integer" | "number":
            assert "minimum" in schema
            assert "maximum" in schema or at.startswith(".status")
        case "array":
            assert "maxItems" in schema
            assert schema["x-kubernetes-list-type"] in ("map", "atomic")
        case kind:
            assert kind in ("object", "boolean", None), at
