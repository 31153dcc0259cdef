"""Shapes of a Feed's fields that no other document has."""

import math
from collections.abc import Callable
from typing import Any, Final
from zoneinfo import ZoneInfo

from sensorpipe_schema.feed.pointer import POINTER_RULE, parse_pointer, write_pointer
from sensorpipe_schema.feed.template import TEMPLATE_RULE, NameTemplate
from sensorpipe_schema.feed.topic import TOPIC_RULE, TopicTemplate
from sensorpipe_schema.shape import FieldProblem, Problems, Record, Shape, shown

_MAX_VALUES: Final = 32
_MAX_ZONE: Final = 64


class _Parsed(Shape):
    """Base class of texts that are parsed further; the parser says what is wrong."""

    parse: Callable[[str], Any]

    def _read(self, value: Any, at: str, problems: Problems) -> Any:
        if not isinstance(value, str):
            message = f"must be text, in quotes if it looks like something else; got {shown(value)}"
            problems.append(FieldProblem(at, message))
            return None
        try:
            return self.parse(value)
        except ValueError as error:
            problems.append(FieldProblem(at, f"{error}; got {shown(value)}"))
            return None

    def _write(self, value: Any) -> Any:
        return value.text


class PointerShape(_Parsed):
    """A path into a payload."""

    parse = staticmethod(parse_pointer)

    def _rule(self) -> str:
        return POINTER_RULE

    def _write(self, value: Any) -> str:
        return write_pointer(value)


class TemplateShape(_Parsed):
    """A template of a name."""

    parse = staticmethod(NameTemplate.parse)

    def _rule(self) -> str:
        return TEMPLATE_RULE


class TopicShape(_Parsed):
    """A template of topics."""

    parse = staticmethod(TopicTemplate.parse)

    def _rule(self) -> str:
        return TOPIC_RULE


class ZoneShape(_Parsed):
    """The name of a time zone, kept as text."""

    @staticmethod
    def parse(value: str) -> str:
        """Return the name; raise ValueError if this machine does not know the zone."""
        try:
            if 0 < len(value) <= _MAX_ZONE:
                ZoneInfo(value)
                return value
        except (ValueError, OSError, KeyError):
            pass
        raise ValueError("must be the name of a time zone such as Europe/Berlin")

    def _rule(self) -> str:
        return "the name of a time zone such as Europe/Berlin"

    def _write(self, value: str) -> str:
        return value


class ValueMap(Shape):
    """A mapping of values, as text, to the numbers that they stand for."""

    def _rule(self) -> str:
        return f"a mapping of 1 to {_MAX_VALUES} values, in quotes, to numbers"

    def _read(self, value: Any, at: str, problems: Problems) -> Any:
        if (
            not isinstance(value, dict)
            or not 0 < len(value) <= _MAX_VALUES
            or not all(isinstance(key, str) for key in value)
            or not all(type(n) in (int, float) and math.isfinite(n) for n in value.values())
        ):
            self.refuse(value, at, problems)
            return None
        return {key: float(number) for key, number in value.items()}

    def _write(self, value: Any) -> Any:
        return dict(value)


class IdentityShape(Shape):
    """`none`, `time`, or a mapping of `src` and `seq`, which `counter` reads."""

    def __init__(self, counter: Record) -> None:
        self._counter = counter

    def _rule(self) -> str:
        return "none, time, or a mapping of src and seq"

    def _read(self, value: Any, at: str, problems: Problems) -> Any:
        if isinstance(value, dict):
            return self._counter.read(value, at, problems)
        if value not in ("none", "time"):
            self.refuse(value, at, problems)
        return value

    def _write(self, value: Any) -> Any:
        return value if isinstance(value, str) else self._counter.write(value)
