"""Makes the OpenAPI document of the table of operations."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec

from sensorpipe_server.api.openapi.answers import PATTERNS, Problem
from sensorpipe_server.api.openapi.operation import EVENTS, PROBLEM, Operation, Parameter, Schema
from sensorpipe_server.api.openapi.parameters import SCHEMAS

_DESCRIPTION: Final = """\
Windows and statistics of sensors, and whether every reading was counted exactly once.

Times are RFC 3339 in UTC, and values have the unit that the sensor sends. Every path answers \
`HEAD` like `GET`. Errors are problem documents (RFC 9457) that name all wrong parameters and what \
is allowed."""

_PROBLEMS: Final = {
    HTTPStatus.BAD_REQUEST: "A parameter is wrong or unknown; `errors` names all of them.",
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "MongoDB does not answer, or there are too many requests at once: try again after "
        "`Retry-After` seconds."
    ),
}
"""The errors of all operations."""

_NOT_MODIFIED: Final = "The answer is still the one with the tag in `If-None-Match`."

_TAG: Final = {"ETag": "Identifies the answer; none if it is very long."}

_OTHERS: Final = (
    "Any other error: 405 for another method, 408, 411, 413, 414 or 431 for a request that is too "
    "slow or too large, 500 if the server failed."
)


def document(
    operations: Iterable[Operation], bounds: Mapping[str, Schema] | None = None
) -> dict[str, Any]:
    """Return the document.

    `bounds` has, by name of a parameter, what the server's settings add to a schema without it.
    """
    schemas: dict[str, Any] = {}
    paths = {each.path: {"get": _operation(each, schemas, bounds or {})} for each in operations}
    problem = {PROBLEM: {"schema": _schema(Problem, schemas)}}
    responses: dict[str, dict[str, Any]] = {
        _name(status): {"description": text, "content": problem}
        for status, text in _PROBLEMS.items()
    }
    responses[_name(HTTPStatus.SERVICE_UNAVAILABLE)]["headers"] = {
        "Retry-After": {
            "description": "Seconds to wait.",
            "required": True,
            "schema": {"type": "integer"},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sensorpipe",
            "version": version("sensorpipe"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {**SCHEMAS, **schemas},
            "responses": {
                "NotModified": {"description": _NOT_MODIFIED, "headers": _headers(_TAG)},
                **responses,
                "Other": {"description": _OTHERS, "content": problem},
            },
        },
    }


def _operation(
    operation: Operation, schemas: dict[str, Any], bounds: Mapping[str, Schema]
) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": operation.name, "summary": operation.summary}
    if operation.description:
        described["description"] = operation.description
    if operation.parameters:
        described["parameters"] = [
            _parameter(each, bounds.get(each.name, {})) for each in operation.parameters
        ]
    content: dict[str, dict[str, Any]] = {
        media: {"schema": _schema(form, schemas)} for media, form in operation.content.items()
    }
    for media, example in operation.examples.items():
        content[media]["example"] = example
    responses: dict[str, Any] = {"200": {"description": operation.summary, "content": content}}
    if EVENTS not in content:  # a stream has no end, so it has no tag
        responses["200"]["headers"] = _headers({**_TAG, **operation.headers})
        responses["304"] = _response("NotModified")
    for status, text in operation.problems.items():
        problem = {PROBLEM: {"schema": _schema(Problem, schemas)}}
        responses[str(int(status))] = {"description": text, "content": problem}
    for status in _PROBLEMS:
        responses[str(int(status))] = _response(_name(status))
    return {**described, "responses": {**responses, "default": _response("Other")}}


def _response(name: str) -> Schema:
    return {"$ref": f"#/components/responses/{name}"}


def _name(status: HTTPStatus) -> str:
    return status.phrase.replace(" ", "")


def _headers(meanings: Mapping[str, str]) -> Schema:
    return {
        name: {"description": text, "schema": {"type": "string"}} for name, text in meanings.items()
    }


def _parameter(parameter: Parameter, bounds: Schema) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.description,
        "schema": {**bounds, **parameter.schema},
    }
    if parameter.required:
        described["required"] = True
    if parameter.schema.get("type") == "array":
        described["explode"] = False
    if parameter.example is not None:
        described["example"] = parameter.example
    return described


def _schema(form: Any, schemas: dict[str, Any]) -> Any:
    """Return the schema of a type or a Schema; those that it refers to are added to `schemas`."""
    if isinstance(form, Mapping):
        return form
    (schema,), components = msgspec.json.schema_components(
        [form], ref_template="#/components/schemas/{name}"
    )
    for name, each in components.items():
        patterns = {"patternProperties": PATTERNS[name]} if name in PATTERNS else {}
        schemas[name] = {**_tidy(each), **patterns}
    return _tidy(schema)


def _tidy(schema: Any) -> Any:
    """Return a schema without titles, which repeat names, and with each description in a line."""
    if isinstance(schema, list):
        return [_tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: " ".join(value.split())
        if key == "description" and isinstance(value, str)
        else _tidy(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }
