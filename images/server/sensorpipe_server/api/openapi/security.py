"""Adds to the OpenAPI document which operations need a token, and what it must grant."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from sensorpipe_server.api.openapi.operation import PROBLEM, Operation

_SCHEME: Final = "token"

_SCHEMES: Final = {
    _SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": (
            "A token (JWT) of an issuer that the administrator has named, with `aud` for this API. "
            "The scope that an operation needs is granted by the server's access file; "
            "lists have the granted facilities only."
        ),
    }
}

_PROBLEMS: Final = {
    HTTPStatus.UNAUTHORIZED: "There is no token, or it is not accepted; `detail` says why.",
    HTTPStatus.FORBIDDEN: "The token does not grant the operation, or a facility that is named.",
}


def restrict(document: dict[str, Any], operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the document with what each of its operations needs."""
    problem = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    challenge = {"description": "What is wrong, after RFC 6750.", "schema": {"type": "string"}}
    responses = {
        status.phrase: {
            "description": text,
            "headers": {"WWW-Authenticate": challenge},
            "content": problem,
        }
        for status, text in _PROBLEMS.items()
    }
    components = document["components"]
    components["responses"] |= responses
    components["securitySchemes"] = _SCHEMES
    for each in operations:
        if each.scope is None:
            continue
        described = document["paths"][each.path]["get"]
        described["security"] = [{_SCHEME: [each.scope]}]
        for status in _PROBLEMS:
            reference = {"$ref": f"#/components/responses/{status.phrase}"}
            described["responses"][str(int(status))] = reference
    return document
