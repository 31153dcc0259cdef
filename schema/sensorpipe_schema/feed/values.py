"""Values of a payload as numbers, and as text for names."""

import hashlib
from typing import Any, Final

import msgspec

from sensorpipe_schema.feed.pointer import Pointer, write_pointer
from sensorpipe_schema.feed.spec import FeedSpec, Rule
from sensorpipe_schema.reading import MAX_SRC

LIMIT: Final = 1.7976931348623157e308
"""Largest magnitude of a value."""

_Number: Final = float | bool | None


class RefusedMessageError(ValueError):
    """A message that a Feed refuses as a whole; `reason` is the reason of the dead letter."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def in_feed(self, name: str) -> "RefusedMessageError":
        """Return the same, with the name of the Feed in its detail."""
        return RefusedMessageError(self.reason, f"Feed {name}: {self.detail}")


class Converter:
    """Makes numbers of the values of one rule."""

    def __init__(self, spec: FeedSpec, rule: Rule) -> None:
        self._at = rule.at
        self._scale, self._offset = rule.scale, rule.offset
        self._values = dict(rule.values or {})
        self._ignored = frozenset(spec.ignore)
        numbers = map(_as_number, spec.ignore)
        self._ignored_numbers = frozenset(number for number in numbers if number is not None)
        self.is_plain = (
            rule.values is None
            and (rule.scale, rule.offset) == (1.0, 0.0)
            and not self._ignored_numbers
        )
        """Whether a finite float is the value as it is."""

    def number(self, value: Any) -> float | None:
        """Return the value as a number; None if it is none and that is no error.

        Raises RefusedMessageError if it is not a number.
        """
        if isinstance(value, str) and value in self._ignored:
            return None
        if self._values and (mapped := self._values.get(text_of(value) or "")) is not None:
            value = mapped
        number = to_number(value, self._at)
        if number is None or number in self._ignored_numbers:
            return None
        number = number * self._scale + self._offset
        if not -LIMIT <= number <= LIMIT:
            raise not_a_number(number, self._at)
        return number


def to_number(value: Any, at: Pointer) -> float | None:
    """Return a number, a number in text, or a boolean as 1 or 0; None for null."""
    number: float | bool | None
    if type(value) is int or type(value) is float:
        number = value
    else:
        try:
            number = msgspec.convert(value, _Number, strict=False)
        except msgspec.ValidationError:
            raise not_a_number(value, at) from None
    if number is None:
        return None
    if not -LIMIT <= number <= LIMIT:
        raise not_a_number(value, at)
    return float(number)


def not_a_number(value: object, at: Pointer) -> RefusedMessageError:
    """Return the error for a value that is not a finite number."""
    if isinstance(value, dict | list):  # not shown: it may be large, and deep
        kind = "an object" if isinstance(value, dict) else "an array"
    else:
        kind = f"{value!r:.60}"
    return RefusedMessageError("not_a_number", f"{write_pointer(at) or 'the payload'}: {kind}")


def text_of(value: Any) -> str | None:
    """Return text, a number or a boolean as text, as JSON writes it; None for anything else."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case int() | float():
            return str(value)
        case _:
            return None


def short_src(text: str) -> str:
    """Return text that names a source, or a digest of it if it is too long for that."""
    if len(text) <= MAX_SRC:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _as_number(text: str) -> float | None:
    try:
        return to_number(text, ())
    except RefusedMessageError:
        return None
