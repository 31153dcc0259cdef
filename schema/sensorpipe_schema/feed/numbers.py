"""All numbers of a payload, each named by the keys that lead to it."""

from collections.abc import Iterator
from typing import Any, Final

from sensorpipe_schema.feed.names import Names
from sensorpipe_schema.feed.pointer import Pointer
from sensorpipe_schema.feed.slots import MISSING, find
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

    def read(self, item: Any) -> list[tuple[str, float]]:
        """Return sensors and values; raise RefusedMessageError if they are too many."""
        found: dict[str, float] = {}
        for pointer, value in _walk(find(item, self._at), self._at):
            if pointer in self._used:
                continue
            name = self._names.bounded("_".join(pointer[len(self._at) :]) or "value")
            if name in self._excluded:
                continue
            if name in found:
                raise RefusedMessageError("bad_sensor_name", f"two values are named {name}")
            if not -LIMIT <= value <= LIMIT:
                raise not_a_number(value, pointer)
            found[name] = float(value)
            if len(found) > MAX_PER_MESSAGE:
                detail = f"more than {MAX_PER_MESSAGE} in one message"
                raise RefusedMessageError("too_many_sensors", detail)
        return list(found.items())


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
