"""Shapes of single values."""

import re
from dataclasses import dataclass
from typing import Any, Final

from sensorpipe_runtime import duration

from sensorpipe_schema.shape import quantity
from sensorpipe_schema.shape.base import FieldProblem, Problems, Shape, below, shown

_WRONG: Final[Any] = object()
_NO_TEXT: Final = "must be text, in quotes if it looks like something else; got {}"
_MAX_DURATION: Final = 32
"""Largest number of characters of a duration."""


class _Leaf(Shape):
    """Base class of shapes of single values, which are written as they were read."""

    def _read(self, value: Any, at: str, problems: Problems) -> Any:
        taken = self._take(value)
        if taken is _WRONG:
            self.refuse(value, at, problems)
        return taken

    def _write(self, value: Any) -> Any:
        return value

    def _take(self, value: Any) -> Any:
        """Return the value as an object, or _WRONG."""
        raise NotImplementedError


@dataclass(frozen=True)
class Text(_Leaf):
    """Text that fully matches a regular expression; `says` describes what that allows."""

    pattern: str
    says: str

    def _rule(self) -> str:
        return self.says

    def _read(self, value: Any, at: str, problems: Problems) -> Any:
        if isinstance(value, str):
            return super()._read(value, at, problems)
        problems.append(FieldProblem(at, _NO_TEXT.format(shown(value))))
        return _WRONG

    def _take(self, value: str) -> Any:
        return value if re.fullmatch(self.pattern, value, re.ASCII) else _WRONG


@dataclass(frozen=True)
class Number(_Leaf):
    """A number between two bounds, read as a float."""

    low: float = -1e12
    high: float = 1e12

    def _rule(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def _take(self, value: Any) -> Any:
        good = type(value) in (int, float) and self.low <= value <= self.high
        return float(value) if good else _WRONG


@dataclass(frozen=True)
class Integer(_Leaf):
    """A whole number between two bounds."""

    low: int
    high: int

    def _rule(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def _take(self, value: Any) -> Any:
        return value if type(value) is int and self.low <= value <= self.high else _WRONG


class Boolean(_Leaf):
    """True or false."""

    def _rule(self) -> str:
        return "true or false"

    def _take(self, value: Any) -> Any:
        return value if isinstance(value, bool) else _WRONG


@dataclass(frozen=True)
class Duration(_Leaf):
    """A duration between two bounds, as text; read as whole milliseconds."""

    low: str
    high: str

    def _rule(self) -> str:
        return f"between {self.low} and {self.high}"

    def _take(self, value: Any) -> Any:
        if not isinstance(value, str) or len(value) > _MAX_DURATION:
            return _WRONG
        try:
            milliseconds = duration.parse_ms(value)
        except ValueError:
            return _WRONG
        good = duration.parse_ms(self.low) <= milliseconds <= duration.parse_ms(self.high)
        return milliseconds if good else _WRONG

    def _write(self, value: int) -> str:
        return duration.format_ms(value)


class StringMap(_Leaf):
    """A mapping of text to text, such as labels."""

    def _rule(self) -> str:
        return "a mapping of text to text"

    def _read(self, value: Any, at: str, problems: Problems) -> Any:
        if not isinstance(value, dict):
            self.refuse(value, at, problems)
            return value
        for key, text in value.items():
            if not isinstance(key, str) or not isinstance(text, str):
                problems.append(FieldProblem(below(at, key), _NO_TEXT.format(shown(text))))
        return value


class Quantity(_Leaf):
    """A Kubernetes quantity of a compute resource; kept as it was given."""

    def _rule(self) -> str:
        return quantity.RULE

    def _take(self, value: Any) -> Any:
        if type(value) not in (int, str):
            return _WRONG
        try:
            quantity.parse(value)
        except ValueError:
            return _WRONG
        return value
