"""Base class of all shapes, and how problems are reported."""

from abc import ABC, abstractmethod
from typing import Any, Final, NamedTuple

_SHOWN: Final = 40


class FieldProblem(NamedTuple):
    """A problem of one field, such as `spec.measurements[1].signal.normal.stdev`."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class Problems(list[FieldProblem]):
    """The problems found so far; unknown fields are a problem only if `strict`."""

    def __init__(self, *, strict: bool = True) -> None:
        super().__init__()
        self.strict = strict


class Shape(ABC):
    """Reads a value of a document into a Python object, and writes it back."""

    @property
    def rule(self) -> str:
        """What is allowed, as a phrase after `must be`."""
        return self._rule()

    def read(self, value: Any, at: str, problems: Problems) -> Any:
        """Return the value as an object; if it is wrong, add to `problems` and return anything."""
        return self._read(value, at, problems)

    def write(self, value: Any) -> Any:
        """Return the value that `read` turns into this object."""
        return self._write(value)

    def refuse(self, value: object, at: str, problems: Problems) -> None:
        """Add a problem that says what is allowed and what was given."""
        problems.append(FieldProblem(at, f"must be {self.rule}; got {shown(value)}"))

    @abstractmethod
    def _rule(self) -> str: ...

    @abstractmethod
    def _read(self, value: Any, at: str, problems: Problems) -> Any: ...

    @abstractmethod
    def _write(self, value: Any) -> Any: ...


def shown(value: object) -> str:
    """Return a short text for a value of any size."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str() if len(value) > _SHOWN:
            return f"{value[:_SHOWN]!r}… ({len(value)} characters)"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return f"a mapping of {len(value)}"
        case _:
            return repr(value)


def below(at: str, name: object) -> str:
    """Return the path of the field `name` of the object at path `at`."""
    key = name if isinstance(name, str) and name.isprintable() else ascii(name)
    key = key[:_SHOWN]
    return f"{at}.{key}" if at else key
