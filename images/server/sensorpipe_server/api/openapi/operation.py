"""What an operation of the API is made of; `api/operations.py` is the table of all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
PROBLEM: Final = "application/problem+json"

Schema = Mapping[str, Any]
"""A JSON Schema, in the dialect of OpenAPI 3.1 (2020-12)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of requests."""

    name: str
    description: str
    """What it means, its unit, and what is allowed that the schema does not say."""
    schema: Schema
    """Its allowed values, with the default; a list of names is an array, joined by commas."""
    where: Literal["query", "path", "header"] = "query"
    required: bool = False
    example: Any = None
    """A value that `schema` allows."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """A path of the API, answered to GET and HEAD: the one place where all of this is declared.

    The route, the parameters that `Params` lets pass, the OpenAPI document and docs/api.md follow
    from it.
    """

    path: str
    name: str
    """Name that is unique in the API, such as `getStats`; generated clients call it so."""
    summary: str
    """What is answered, a line without a full stop."""
    content: Mapping[str, Any]
    """By media type the form of the answer: a type that msgspec encodes, or a Schema."""
    parameters: tuple[Parameter, ...] = ()
    scope: str | None = field(kw_only=True)
    """What a token must grant, where access is restricted; None if it is open to everybody."""
    description: str = ""
    """What a caller has to know beyond the summary, in Markdown."""
    examples: Mapping[str, Any] = field(default_factory=dict)
    """By media type an answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the answer with their meaning, beside those of all answers."""
    problems: Mapping[HTTPStatus, str] = field(default_factory=dict)
    """Errors beside those of all operations: by status, when it is answered."""

    @property
    def query_names(self) -> tuple[str, ...]:
        """The names of the parameters that a query may have."""
        return tuple(each.name for each in self.parameters if each.where == "query")
