"""Shapes that contain other shapes."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sensorpipe_schema.shape.base import FieldProblem, Problems, Shape, below

REQUIRED: Final[Any] = object()
"""Default of a field that has none: it must be given."""


@dataclass(frozen=True)
class Array(Shape):
    """A list of one shape; items must differ in the field `unique`, if that is given."""

    item: Shape
    low: int
    high: int
    unique: str = ""
    make: Callable[[list[Any]], Any] = tuple

    def _rule(self) -> str:
        return f"a list of {self.low} to {self.high}"

    def _read(self, value: Any, at: str, problems: Problems) -> Any:
        if not isinstance(value, list) or not self.low <= len(value) <= self.high:
            self.refuse(value, at, problems)
            return None
        if self.unique:
            self._compare(value, at, problems)
        read = self.item.read
        return self.make([read(item, f"{at}[{i}]", problems) for i, item in enumerate(value)])

    def _write(self, value: Any) -> Any:
        return [self.item.write(item) for item in value]

    def _compare(self, items: list[Any], at: str, problems: Problems) -> None:
        first: dict[str, int] = {}
        for i, item in enumerate(items):
            key = item.get(self.unique) if isinstance(item, dict) else None
            if isinstance(key, str) and first.setdefault(key, i) != i:
                message = f"must be unique; {key!r} is also {at}[{first[key]}]"
                problems.append(FieldProblem(f"{at}[{i}].{self.unique}", message))


@dataclass(frozen=True)
class Field:
    """A field of a Record: shape, description, and default unless it is required."""

    shape: Shape
    doc: str
    default: Any = REQUIRED
    attribute: str = ""
    """Attribute of the object, if it is not the name of the field in snake case."""

    def read(self, given: Any, at: str, problems: Problems) -> Any:
        """Read a value; a missing one (or null, as in Kubernetes) gives the default."""
        if given is not None:
            return self.shape.read(given, at, problems)
        if self.default is REQUIRED:
            problems.append(FieldProblem(at, f"must be given ({self.shape.rule})"))
        return self.default


@dataclass(frozen=True)
class Record(Shape):
    """A mapping with named fields, read into `make(**fields)`; fields in `ignored` are skipped."""

    make: Callable[..., Any]
    fields: Mapping[str, Field]
    ignored: frozenset[str] = frozenset()

    def _rule(self) -> str:
        return f"a mapping of {', '.join(self.fields)}"

    def _read(self, value: Any, at: str, problems: Problems) -> Any:
        if not isinstance(value, dict):
            self.refuse(value, at, problems)
            return None
        before = len(problems)
        if problems.strict:
            _refuse_unknown(value, self.fields, self.ignored, at, problems)
        content = {
            _attribute(name, field): field.read(value.get(name), below(at, name), problems)
            for name, field in self.fields.items()
        }
        return self.make(**content) if len(problems) == before else None

    def _write(self, value: Any) -> Any:
        parts = {name: getattr(value, _attribute(name, f)) for name, f in self.fields.items()}
        return {
            name: self.fields[name].shape.write(part)
            for name, part in parts.items()
            if part is not None
        }


@dataclass(frozen=True)
class OneOf(Shape):
    """A mapping with exactly one of several fields; `types` maps each class to its field."""

    options: Mapping[str, Shape]
    types: Mapping[type, str]

    def _rule(self) -> str:
        return f"exactly one of {', '.join(self.options)}"

    def _read(self, value: Any, at: str, problems: Problems) -> Any:
        if not isinstance(value, dict):
            self.refuse(value, at, problems)
            return None
        before = len(problems)
        given = [name for name in self.options if value.get(name) is not None]
        if problems.strict or not given:  # then the unknown field must be what was meant
            _refuse_unknown(value, self.options, frozenset(), at, problems)
        if len(given) != 1 and len(problems) == before:
            got = " and ".join(given) or "none of them"
            problems.append(FieldProblem(at, f"must be {self.rule}; got {got}"))
        read = [self.options[name].read(value[name], below(at, name), problems) for name in given]
        return read[0] if read else None

    def _write(self, value: Any) -> Any:
        name = self.types[type(value)]
        return {name: self.options[name].write(value)}


def _refuse_unknown(
    value: Mapping[Any, Any],
    known: Mapping[str, object],
    ignored: frozenset[str],
    at: str,
    problems: Problems,
) -> None:
    """Report each unknown field, with the most similar known one."""
    for name in value:
        if name in known or name in ignored:
            continue
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"allowed are {', '.join(known)}"
        problems.append(FieldProblem(below(at, name), f"unknown field; {hint}"))


def _attribute(name: str, field: Field) -> str:
    """Return the attribute of a field: `per_hour` for `perHour`."""
    return field.attribute or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
