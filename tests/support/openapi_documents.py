"""What tests do with an OpenAPI document."""

from typing import Any


def have_declared_fields_only(document: dict[str, Any]) -> None:
    """Change its forms so that they allow no field that they do not declare.

    Clients must allow such fields, since later versions may add some.
    """
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema["unevaluatedProperties"] = False
