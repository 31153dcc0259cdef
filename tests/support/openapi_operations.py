"""The operations of an OpenAPI document: what each needs, and a path that asks for a facility."""

from collections.abc import Mapping
from typing import Any, Final

EXAMPLES: Final[Mapping[str, str]] = {"sensors": "temperature"}
"""Values for the parameters, other than the facility, that an operation requires."""


def operations_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operations by path."""
    return {path: item["get"] for path, item in document["paths"].items()}


def path_of(
    template: str, operation: Mapping[str, Any], facility: str, *, named: bool = False
) -> str:
    """Return a path with all that the operation requires, naming a facility if it can be."""
    path, query = template.replace("{facility}", facility), []
    for each in operation.get("parameters", ()):
        if each["in"] == "query" and (
            each.get("required") or (named and each["name"] == "facility")
        ):
            value = facility if each["name"] == "facility" else EXAMPLES[each["name"]]
            query.append(f"{each['name']}={value}")
    return f"{path}?{'&'.join(query)}" if query else path


def needed(operation: Mapping[str, Any]) -> str | None:
    """Return the scope that the document says an operation needs; None if it is open."""
    (scopes,) = [each["token"] for each in operation.get("security", ())] or [[None]]
    scope: str | None = scopes[0]
    return scope
