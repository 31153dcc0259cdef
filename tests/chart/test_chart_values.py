"""The chart's values: each explained, each checked, and wrong ones refused in plain words."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_compactor.settings import MAX_SOURCE_BYTES, _client_id, _topic_filters
from sensorpipe_operator.settings import _data_key, _namespaces, _object_name
from sensorpipe_runtime import duration
from sensorpipe_runtime.kafka.client import _MECHANISMS, _PROTOCOLS
from sensorpipe_server.settings import MAX_PAGE, Settings
from sensorpipe_server.storage.rollups import retention
from support.chart.render import CHART
from support.chart.values import VALUES, explanations

SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())

FROM_A_PARENT = {"enabled"}
"""What a chart that has this one as a part may set, and only it."""

FREE = ("global", "labels", "annotations", "amounts")
"""Where users choose the names."""


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema itself, or the definition it names."""
    name = schema.get("$ref", "").removeprefix("#/definitions/")
    found: dict[str, Any] = SCHEMA["definitions"][name] if name else schema
    return found


def everywhere(schema: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each schema within, definitions included, and its place in the file."""
    if isinstance(schema, list):
        for place, inner in enumerate(schema):
            yield from everywhere(inner, f"{at}/{place}")
    elif isinstance(schema, dict):
        yield at, schema
        for name, inner in schema.items():
            yield from everywhere(inner, f"{at}/{name}")


def pairs(
    values: dict[str, Any], schema: dict[str, Any], at: str = ""
) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield each value, or free map, with its place and schema."""
    for name, value in values.items():
        inner = resolved(schema["properties"][name])
        if isinstance(value, dict) and "properties" in inner and inner.get("required"):
            yield from pairs(value, inner, f"{at}.{name}")
        else:
            yield f"{at}.{name}".lstrip("."), value, inner


def pythonic(schema: Any) -> Any:
    """Return the schema with its patterns as Python writes them."""
    text = json.dumps(schema).replace("(?<", "(?P<")
    return json.loads(re.sub(r'(?<!\\)\$"', r'\\\\Z"', text))


EVERY = list(pairs(VALUES, SCHEMA))


def test_defaults_are_valid() -> None:
    schema = pythonic(SCHEMA)
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(VALUES)


def test_the_schema_has_what_the_values_have_and_nothing_else() -> None:
    def compare(values: dict[str, Any], schema: dict[str, Any], at: str) -> None:
        known = set(schema["properties"]) - (FROM_A_PARENT if not at else set())
        assert set(values) == known == set(schema["required"]), at
        for name, value in values.items():
            inner = resolved(schema["properties"][name])
            if isinstance(value, dict) and inner.get("required"):
                compare(value, inner, f"{at}/{name}")

    compare(VALUES, SCHEMA, "")


@pytest.mark.parametrize(("at", "value", "schema"), EVERY, ids=[at for at, _, _ in EVERY])
def test_every_value_is_explained_and_of_the_right_type(
    at: str, value: Any, schema: dict[str, Any]
) -> None:
    said = explanations()
    parts = at.split(".")
    assert any(".".join(parts[:end]) in said for end in range(1, len(parts) + 1))
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    kind = names.get(type(value), "object")
    schema = resolved(schema.get("else", schema))  # a list may be written for one
    assert schema.get("type", "string" if "enum" in schema else None) == kind


def test_every_explanation_is_a_sentence() -> None:
    for at, said in explanations().items():
        assert said.endswith("."), at


def test_no_map_takes_what_it_does_not_know() -> None:
    for at, schema in everywhere(SCHEMA):
        if at.endswith(("/properties", "/definitions")) or at.split("/")[-1] in FREE:
            continue
        if schema.get("type") == "object":
            assert schema.get("additionalProperties") is False, at


def test_every_pattern_says_in_words_what_it_takes() -> None:
    for at, schema in everywhere(SCHEMA):
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            assert re.search(r"\(\?<[a-zA-Z0-9]+(_[a-zA-Z0-9]+)+>", pattern), at
            assert re.match(r"\^\(.*\)\$|\(\?<greater", pattern), at


def matching(name: str, *within: str) -> st.SearchStrategy[str]:
    """Return texts that the schema's pattern takes."""
    schema: dict[str, Any] = SCHEMA["definitions"][name] if not within else SCHEMA
    for step in within:
        schema = schema["properties"][step] if "properties" in schema else resolved(schema)
    pattern = schema["pattern"] if "pattern" in schema else schema["allOf"][0]["pattern"]
    return st.from_regex(re.compile(pythonic({"p": pattern})["p"], re.ASCII))


@given(matching("duration").filter(lambda text: re.search("[1-9]", text)))
def test_a_duration_that_is_taken_the_programs_take(text: str) -> None:
    assert duration.parse_ms(text) > 0


@given(matching("retention"))
def test_a_retention_that_is_taken_the_server_takes(text: str) -> None:
    kept = retention._milliseconds(text)
    assert (kept is None) is (text == "forever")


_origins = SCHEMA["properties"]["server"]["properties"]["corsOrigins"]["items"]


@given(st.from_regex(re.compile(pythonic(_origins)["pattern"], re.ASCII)))
def test_an_origin_that_is_taken_the_server_takes(text: str) -> None:
    found = Settings.read({"SENSORPIPE_CORS_ORIGINS": text}).cors_origins
    assert found in ((text,), (text.rpartition(":")[0],))


def test_the_default_retention_is_the_servers() -> None:
    kept = VALUES["server"]["retention"]
    assert ",".join(f"{level}:{kept[level]}" for level in kept) == retention.DEFAULT


@given(
    topic=matching("topicFilter"),
    client=matching("", "compactor", "clientId"),
    secret=matching("objectName").filter(lambda text: len(text) < 254),
    key=matching("", "mosquitto", "external", "caKey"),
)
def test_a_text_that_is_taken_the_programs_take(
    topic: str, client: str, secret: str, key: str
) -> None:
    if topic.isprintable():
        assert _topic_filters(topic) == (topic,)
    assert _client_id(client) == client
    assert _object_name(secret) == secret
    assert _data_key(key) == key
    assert _namespaces("a,b") == ("a", "b")


def test_words_and_limits_are_those_of_the_programs() -> None:
    server, external = SCHEMA["properties"]["server"], SCHEMA["properties"]["kafka"]
    external = external["properties"]["external"]["properties"]
    compactor = SCHEMA["properties"]["compactor"]["properties"]
    assert server["properties"]["pageLimit"]["maximum"] == MAX_PAGE
    assert compactor["sourceBytes"]["maximum"] == MAX_SOURCE_BYTES
    assert tuple(external["security"]["enum"]) == _PROTOCOLS
    assert tuple(external["mechanism"]["enum"]) == _MECHANISMS
