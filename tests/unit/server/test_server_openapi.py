"""The OpenAPI document: valid, complete, and true to the code that answers."""

import copy
import json
import re
from typing import Any
from unittest.mock import MagicMock

import jsonschema
import pytest
import schemathesis
from sensorpipe_server.api.routes import application
from starlette.testclient import TestClient
from support.openapi_documents import have_declared_fields_only

PAGE_LIMIT = 50


@pytest.fixture(scope="module")
def app():
    return application(MagicMock(), page_limit=PAGE_LIMIT)


@pytest.fixture(scope="module")
def document(app) -> dict[str, Any]:
    answer = TestClient(app).get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    made: dict[str, Any] = answer.json()
    return made


def operations(document):
    return {path: item["get"] for path, item in document["paths"].items()}


def parameters(document):
    return [each for one in operations(document).values() for each in one.get("parameters", ())]


def allows(document, schema, value):
    """Whether a schema of the document allows a value, without fields beside its own."""
    whole = copy.deepcopy({**document, **schema})
    have_declared_fields_only(whole)
    return jsonschema.Draft202012Validator(whole).is_valid(value)


def test_it_is_openapi_3_1(document):
    assert document["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(document).validate()


def test_its_schemas_are_json_schemas(document):
    for schema in (*document["components"]["schemas"].values(), *schemas_in(document["paths"])):
        jsonschema.Draft202012Validator.check_schema(schema)


def schemas_in(part):
    """Yield each schema of parameters and answers."""
    if isinstance(part, dict):
        if isinstance(part.get("schema"), dict):
            yield part["schema"]
        for each in part.values():
            yield from schemas_in(each)
    if isinstance(part, list):
        for each in part:
            yield from schemas_in(each)


def test_whatever_it_refers_to_is_in_it(document):
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))):
        part = document
        for key in reference.split("/"):
            part = part[key]


def test_nothing_of_its_components_is_unused(document):
    text = json.dumps(document)
    for kind, some in document["components"].items():
        for name in some:
            assert f'"#/components/{kind}/{name}"' in text


def test_each_route_is_described_and_nothing_else(app, document):
    paths = [route.path for route in app.routes if not is_of_the_page(route.path)]
    assert paths == list(document["paths"])


def is_of_the_page(path):
    """Whether a path is for browsers, so that the API's document leaves it out."""
    return path == "/" or path.startswith("/page/")


@pytest.fixture(scope="module")
def restricted() -> dict[str, Any]:
    app = application(MagicMock(), page_limit=PAGE_LIMIT, access=MagicMock())
    made: dict[str, Any] = TestClient(app).get("/openapi.json").json()
    return made


def test_where_access_is_restricted_it_says_what_each_operation_needs(restricted):
    schemathesis.openapi.from_dict(restricted).validate()
    needed = {
        path: [scope for each in one.get("security", ()) for scope in each["token"]]
        for path, one in operations(restricted).items()
    }
    assert needed.pop("/openapi.json") == []
    assert needed.pop("/metrics/sensors") == ["metrics"]
    assert needed.pop("/api/dead-letters") == ["admin"]
    assert {*map(tuple, needed.values())} == {("read",)}
    assert restricted["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_where_access_is_not_restricted_it_says_nothing_of_tokens(document, restricted):
    for operation in operations(restricted).values():
        if operation.pop("security", None):
            del operation["responses"]["401"], operation["responses"]["403"]
    for name in ("Unauthorized", "Forbidden"):
        del restricted["components"]["responses"][name]
    del restricted["components"]["securitySchemes"]
    assert document == restricted


def test_each_operation_has_a_name_of_its_own_and_says_what_it_answers(document):
    named = [each["operationId"] for each in operations(document).values()]
    assert len({*named}) == len(named)
    for operation in operations(document).values():
        assert re.fullmatch(r"[A-Z].{10,100}[^.]", operation["summary"])


def test_each_parameter_says_what_it_means_and_its_example_is_allowed(document):
    for parameter in parameters(document):
        assert re.fullmatch(r"[A-Z].{5,}\.", parameter["description"], re.DOTALL)
        for key in ("example", "default"):
            value = parameter.get(key, parameter["schema"].get(key))
            assert value is None or allows(document, parameter["schema"], value), parameter


def test_the_examples_are_answers(document):
    shown = 0
    for operation in operations(document).values():
        for answer in operation["responses"]["200"]["content"].values():
            if "example" in answer:
                assert allows(document, answer["schema"], answer["example"])
                shown += 1
    assert shown >= 3


def test_the_page_limit_is_the_setting(document):
    limits = {
        path: each["schema"]
        for path, operation in operations(document).items()
        for each in operation.get("parameters", ())
        if each["name"] == "limit"
    }
    whole = {"type": "integer", "minimum": 0, "maximum": 50, "default": 50}
    assert limits["/api/sensors/{facility}"] == whole
    assert limits["/api/dead-letters"] == {**whole, "minimum": 1, "maximum": 200}


def test_a_parameter_of_the_path_is_in_it(document):
    for path, operation in operations(document).items():
        in_path = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"]
        assert in_path == re.findall(r"{(\w+)}", path)


def test_errors_are_problem_documents(document):
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for name in ("BadRequest", "ServiceUnavailable", "Other"):
        assert document["components"]["responses"][name]["content"] == problem
    for operation in operations(document).values():
        for status in {*operation["responses"]} - {"200", "304"}:
            answer = operation["responses"][status]
            assert answer.get("content", problem) == problem
        assert {"400", "503", "default"} <= {*operation["responses"]}
