"""All numbers of a payload, each named by the keys that lead to it."""

from collections.abc import Iterator
from typing import Any, Final

from sensorpipe_schema.feed.names import MAX_REMEMBERED, Names
from sensorpipe_schema.feed.pointer import Pointer
from sensorpipe_schema.feed.slots import MISSING
from sensorpipe_schema.feed.spec import Counter, FeedSpec
from sensorpipe_schema.feed.values import LIMIT, RefusedMessageError, not_a_number

MAX_PER_MESSAGE: Final = 64
"""Largest number of sensors that one message may have."""


class NumbersReader:
    """Reads the numbers of one Feed's payloads."""

    def __init__(self, spec: FeedSpec, names: Names) -> None:
        assert spec.numbers is not None  # noqa: S101  made only then
        self._at = spec.numbers.at
        self._excluded = frozenset(spec.numbers.excluded)
        self._names = names
        used: list[Pointer] = [spec.time.at] if spec.time else []
        if isinstance(spec.identity, Counter):
            used += [*spec.identity.src, spec.identity.seq]
        self._used = frozenset(used)
        self._known: dict[str, str] = {}
        """Names by key, of numbers that are not nested; at most as many as a Feed may name."""

    def read(self, whole: Any) -> list[tuple[str, float]]:
        """Return sensors and values of what their path leads to.

        Raises RefusedMessageError if they are too many.
        """
        found: dict[str, float] = {}
        if type(whole) is dict:
            for key, value in whole.items():
                name = self._known.get(key)
                if type(value) is float and name is not None and name not in found:
                    found[name] = value  # finite, as all that JSON has
                else:
                    self._add(found, value, (*self._at, key))
        else:
            self._add(found, whole, self._at)
        if len(found) > MAX_PER_MESSAGE:
            detail = f"more than {MAX_PER_MESSAGE} in one message"
            raise RefusedMessageError("too_many_sensors", detail)
        return list(found.items())

    def _add(self, found: dict[str, float], whole: Any, at: Pointer) -> None:
        for pointer, value in _walk(whole, at):
            if pointer in self._used:
                continue
            keys = pointer[len(self._at) :]
            name = self._names.bounded("_".join(keys) or "value")
            if name in self._excluded:
                continue
            if name in found:
                raise RefusedMessageError("bad_sensor_name", f"two values are named {name}")
            if not -LIMIT <= value <= LIMIT:
                raise not_a_number(value, pointer)
            found[name] = float(value)
            if len(keys) == 1 and len(keys[0]) <= MAX_REMEMBERED:
                self._known[keys[0]] = name


def _walk(value: Any, at: Pointer) -> Iterator[tuple[Pointer, float]]:
    match value:
        case bool() | int() | float():
            yield at, value
        case dict():
            for key, inner in value.items():
                yield from _walk(inner, (*at, key))
        case list():
            for i, inner in enumerate(value):
                yield from _walk(inner, (*at, str(i)))
        case _ if value is MISSING:
            return
