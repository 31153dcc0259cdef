"""The tables of docs/api.md, from the API's OpenAPI document."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from unittest.mock import MagicMock

from starlette.testclient import TestClient

PAGE_LIMIT: Final = 20
"""The default of SENSORPIPE_PAGE_LIMIT."""

Row = tuple[str, ...]


def document() -> dict[str, Any]:
    """Return the document, as a server with default settings and an access file answers it."""
    from sensorpipe_server.api.routes import application  # noqa: PLC0415  only where it is asked for

    app = application(MagicMock(), page_limit=PAGE_LIMIT, access=MagicMock())
    with TestClient(app) as client:
        answered: dict[str, Any] = client.get("/openapi.json").json()
    return answered


def operation_rows(api: Mapping[str, Any]) -> Iterator[Row]:
    """Yield request, scope, parameters, media types and summary of each operation."""
    for path, operation in operations(api):
        names = [_name(each) for each in parameters(operation)]
        media = [f"`{kind}`" for kind in operation["responses"]["200"]["content"]]
        scopes = [f"`{scope}`" for each in operation.get("security", ()) for scope in each["token"]]
        request = f"`GET {path}`", ", ".join(scopes)
        yield *request, ", ".join(names), ", ".join(media), f"{operation['summary']}."


def parameter_rows(api: Mapping[str, Any]) -> Iterator[Row]:
    """Yield name, allowed values and meaning of each parameter.

    Where operations differ in a parameter it has a row for each, which names their paths.
    """
    found: dict[str, dict[tuple[str, str], list[str]]] = {}
    for path, operation in operations(api):
        for each in parameters(operation):
            same = found.setdefault(_name(each), {})
            key = (allowed(each), each["description"])
            same.setdefault(key, []).append(f"`{path}`")
    for name, variants in found.items():
        for (values, meaning), paths in variants.items():
            where = f"{', '.join(paths)}: " if len(variants) > 1 else ""
            yield name, values, where + meaning


def field_rows(api: Mapping[str, Any], schema: str) -> Iterator[Row]:
    """Yield name and meaning of the described fields in a form of answer, and in those within."""
    yield from _fields(api["components"]["schemas"], schema, "")


def _fields(schemas: Mapping[str, Any], name: str, prefix: str) -> Iterator[Row]:
    for field, schema in schemas[name]["properties"].items():
        if "description" in schema:
            yield f"`{prefix}{field}`", schema["description"]
        for part, mark in ((schema, "."), (schema.get("items", {}), "[].")):
            if "$ref" in part:
                inner = part["$ref"].rpartition("/")[2]
                yield from _fields(schemas, inner, f"{prefix}{field}{mark}")


def operations(api: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each path with its operation."""
    for path, item in api["paths"].items():
        yield path, item["get"]


def parameters(operation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return an operation's parameters that are not part of its path."""
    return [each for each in operation.get("parameters", ()) if each["in"] != "path"]


def _name(parameter: Mapping[str, Any]) -> str:
    kind = " (header)" if parameter["in"] == "header" else ""
    return f"`{parameter['name']}`{kind}"


def allowed(parameter: Mapping[str, Any]) -> str:
    """Return the values that a parameter may have, and its default, in words."""
    schema = parameter["schema"]
    said = [_values(schema)]
    if parameter.get("required"):
        said.append("required")
    if "default" in schema:
        said.append(f"default {_shown(schema['default'])}")
    return "; ".join(each for each in said if each)


def _values(schema: Mapping[str, Any]) -> str:
    text = ""
    match schema:
        case {"$ref": str(path)}:
            name = path.rpartition("/")[2].lower()
            text = f"[{name}](#{name}s)"
        case {"type": "array", "maxItems": highest}:
            text = f"1 to {highest} of: {_values(schema['items'])}"
        case {"type": "array"}:
            text = f"any of: {_values(schema['items'])}"
        case {"enum": words}:
            text = ", ".join(_shown(word) for word in words)
        case {"type": "boolean"}:
            text = "`true`, `false`"
        case {"minimum": low, "maximum": high}:
            text = f"{low:,} to {high:,}"
        case _:
            pass
    return text


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"`{','.join(map(str, value))}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
