"""Makes readings of the messages of one Feed."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from sensorpipe_schema.feed.influx import BadLineError, parse_lines
from sensorpipe_schema.feed.manifest import Feed
from sensorpipe_schema.feed.names import Names, Route
from sensorpipe_schema.feed.numbers import NumbersReader
from sensorpipe_schema.feed.pointer import Pointer, write_pointer
from sensorpipe_schema.feed.slots import (
    ANY,
    MISSING,
    NUMBER,
    TIME,
    UNIX_TIME,
    FastReader,
    ItemsReader,
    NotAnArrayError,
    Values,
    fast_items_reader,
    fast_reader,
    pick,
    read_slowly,
)
from sensorpipe_schema.feed.spec import FORMATS, Counter, Time, rules_of
from sensorpipe_schema.feed.times import EPOCH, BadTimeError, to_ms
from sensorpipe_schema.feed.values import LIMIT, Converter, RefusedMessageError, short_src, text_of
from sensorpipe_schema.reading import MAX_SEQ

MAX_PAYLOAD: Final = 64 * 1024
"""Largest size of the payload of a message of a Feed, in bytes."""

MAX_ITEMS: Final = 1_000
"""Largest number of items of an array, or lines, in one message."""

_NEEDS_SLOW_WAY: Final = (msgspec.DecodeError, ValueError, RecursionError)


class Readings(msgspec.Struct, gc=False):
    """Readings of one facility with the same time and identity."""

    facility: str
    ts: int
    """Unix milliseconds."""
    src: str | None
    """Names their source; None without an identity."""
    seq: int
    """Tells them from others of that source, without an order; 0 without an identity."""
    values: list[tuple[str, float]]
    """Sensors and values, at least one."""


class FeedDecoder:
    """Decodes the messages of a Feed. It remembers names, a bounded number of them."""

    def __init__(self, feed: Feed) -> None:
        spec = feed.spec
        self.feed = feed
        self._spec = spec
        self._names = Names(spec)
        self._routes = self._names.routes
        self.units = self._names.units
        """Units by sensor, of those that messages have had so far; a bounded number."""
        self._numbers = NumbersReader(spec, self._names) if spec.numbers is not None else None
        rules = rules_of(spec)
        self._converters = [Converter(spec, rule) for rule in rules]
        self._is_plain = all(converter.is_plain for converter in self._converters)
        self._is_bare = spec.payload == "number" and self._is_plain
        self._time = spec.time
        self._zone = ZoneInfo(spec.timezone) if spec.timezone else None
        counter = spec.identity if isinstance(spec.identity, Counter) else None
        self._by_time = spec.identity == "time"
        self._has_identity = spec.identity != "none"
        self._may_name_alike = self._has_identity and any(rule.sensor.pointers for rule in rules)
        wanted: list[tuple[Pointer, Any]] = [
            (rule.at, ANY if rule.values else NUMBER) for rule in rules
        ]
        self._time_at = len(wanted)
        if spec.time is not None:
            wanted.append((spec.time.at, UNIX_TIME if FORMATS[spec.time.format] else TIME))
        self._counter_at = len(wanted)
        self._counter = counter
        if counter is not None:
            wanted += [(pointer, ANY) for pointer in (counter.seq, *counter.src)]
        self._names_at = len(wanted)
        wanted += [(pointer, ANY) for pointer in self._names.pointers]
        if spec.numbers is not None:
            wanted.append((spec.numbers.at, ANY))
        self._wanted = [pointer for pointer, _ in wanted]
        self._read_items: ItemsReader | None = None
        self._fast: FastReader | None = None
        if spec.payload == "json":
            if spec.each is None:
                self._fast = fast_reader(wanted)
            else:
                self._read_items = fast_items_reader(wanted, spec.each)

    def decode(self, topic: str, payload: bytes, now_ms: int) -> list[Readings]:
        """Return the readings of a message that arrived at `now_ms` (Unix milliseconds).

        There are none if it has none of the named values, or its topic is not the Feed's.
        Raises RefusedMessageError if it is no message of the Feed; then none of it counts.
        """
        route = self._routes.get(topic)
        if route is None or not payload:
            route = self._names.route(topic, self.feed.full_name)
            if route is None or not payload:
                return []
        try:
            if self._fast is not None and len(payload) <= MAX_PAYLOAD:
                decode, get = self._fast
                try:
                    values = get(decode(payload))
                except _NEEDS_SLOW_WAY:
                    pass
                else:
                    if self._may_name_alike:
                        return self._several([values], route, now_ms)
                    readings = self._readings(values, route, now_ms)
                    return [] if readings is None else [readings]
            elif self._is_bare and (number := _bare_number(payload)) is not None:
                (sensor,) = route.sensors or ("",)
                return [Readings(route.facility or "", now_ms, None, 0, [(sensor, number)])]
            return self._several(self._items(payload), route, now_ms)
        except RefusedMessageError as error:
            raise error.in_feed(self.feed.full_name) from None
        except RecursionError:  # decoding needs a few frames less than what follows
            refused = RefusedMessageError("not_json", "nested too deeply")
            raise refused.in_feed(self.feed.full_name) from None

    def _items(self, payload: bytes) -> list[Values]:
        if self._read_items is not None and len(payload) <= MAX_PAYLOAD:
            with suppress(*_NEEDS_SLOW_WAY):
                return self._read_items(payload)
        return self._read_slowly(payload)

    def _several(self, found: list[Values], route: Route, now_ms: int) -> list[Readings]:
        if len(found) > MAX_ITEMS:
            raise RefusedMessageError("too_many_items", f"{len(found)}; at most {MAX_ITEMS}")
        read = [self._readings(values, route, now_ms) for values in found]
        several = [readings for readings in read if readings is not None]
        if self._has_identity:
            _check_apart(several)
        return several

    def _read_slowly(self, payload: bytes) -> list[Values]:
        if len(payload) > MAX_PAYLOAD:
            raise RefusedMessageError("too_large", f"{len(payload)} bytes; at most {MAX_PAYLOAD}")
        spec = self._spec
        try:
            match spec.payload:
                case "number":
                    return [self._bare(payload)]
                case "influx":
                    return [pick(item, self._wanted) for item in parse_lines(payload)]
                case _:
                    return read_slowly(payload, self._wanted, spec.each)
        except BadLineError as error:
            raise RefusedMessageError("not_influx", str(error)) from error
        except NotAnArrayError as error:
            at = write_pointer(spec.each or ()) or "the payload"
            raise RefusedMessageError("not_an_array", f"{at} is not an array") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RefusedMessageError("not_json", str(error)) from error

    def _bare(self, payload: bytes) -> Values:
        try:
            return (payload.decode().strip(),)
        except UnicodeDecodeError as error:
            raise RefusedMessageError("not_a_number", f"the payload: {error}") from error

    def _readings(self, values: Values, route: Route, now_ms: int) -> Readings | None:
        """Return the readings of one object; None if it has none of the named values."""
        sensors = route.sensors
        if sensors is None:
            found = self._named(values, route)
        elif self._is_plain:  # most often, all of them are numbers
            pairs = zip(sensors, values)  # noqa: B905  `strict` costs as much as a value
            found = [pair for pair in pairs if type(pair[1]) is float]
            if len(found) < len(sensors):
                found = self._found(values, sensors)
        else:
            found = self._found(values, sensors)
        if not found:
            return None
        facility = route.facility
        if facility is None:
            facility = self._names.facility(route, values[self._names_at :])
        if self._time is None:
            ts = now_ms
        else:
            value = values[self._time_at]
            if type(value) is datetime and value.tzinfo is not None:
                since = value - EPOCH  # as `to_ms` does, without a call
                ts = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
            else:
                ts = self._ts(self._time, value)
        if self._counter is not None:
            src, seq = self._identity(self._counter, values)
            return Readings(facility, ts, src, seq, found)
        if self._by_time:
            return Readings(facility, ts, route.src, max(ts, 0), found)
        return Readings(facility, ts, None, 0, found)

    def _found(self, values: Values, sensors: Iterable[str]) -> list[tuple[str, float]]:
        """Return sensors and numbers; floats among the values are finite."""
        found = []
        for value, sensor, converter in zip(values, sensors, self._converters, strict=False):
            if value is MISSING or value is None:
                continue
            if type(value) is float and converter.is_plain:
                found.append((sensor, value))
            elif (number := converter.number(value)) is not None:
                found.append((sensor, number))
        return found

    def _named(self, values: Values, route: Route) -> list[tuple[str, float]]:
        """Return what `_found` does, where the payload names sensors."""
        if self._numbers is not None:
            return self._numbers.read(values[-1])
        places = [f"\0{i}" for i in range(len(self._converters))]
        found = self._found(values, places)
        named = values[self._names_at :]
        return [(self._names.sensor(int(at[1:]), route, named), value) for at, value in found]

    def _ts(self, time: Time, value: Any) -> int:
        if value is MISSING or value is None:
            raise RefusedMessageError("no_time", f"{write_pointer(time.at)} is missing")
        try:
            return to_ms(value, time.format, self._zone)
        except BadTimeError as error:
            raise RefusedMessageError("bad_time", f"{write_pointer(time.at)}: {error}") from error

    def _identity(self, counter: Counter, values: Values) -> tuple[str | None, int]:
        """Return source and number; none where the message lacks a part of them."""
        seq, *names = values[self._counter_at : self._names_at]
        if type(seq) is int and 0 <= seq < MAX_SEQ and "" not in names:
            try:
                return short_src("/".join(names)), seq + 1
            except TypeError:
                pass  # not all of them are texts, as they are most often
        texts = [name if type(name) is str else text_of(name) for name in names]
        if seq is MISSING or seq is None or MISSING in names or None in names or "" in texts:
            return None, 0
        number = seq if type(seq) is int and 0 <= seq < MAX_SEQ else _counted(seq)
        if number is None or None in texts:
            wrong = counter.seq if number is None else counter.src[texts.index(None)]
            detail = f"{write_pointer(wrong)} is no {'count' if number is None else 'name'}"
            raise RefusedMessageError("bad_identity", detail)
        return short_src("/".join(texts)), number + 1  # type: ignore[arg-type]  # a device may count from 0


def _check_apart(several: Iterable[Readings]) -> None:
    """Raise RefusedMessageError if a message has two values with the same identity.

    The second would be dropped as a repeat of the first; where both are equal, it may be one.
    """
    seen: dict[tuple[str, str, str, int], float] = {}
    for readings in several:
        if readings.src is None:
            continue
        for sensor, value in readings.values:
            key = (readings.facility, sensor, readings.src, readings.seq)
            if seen.setdefault(key, value) != value:
                detail = f"two values of {sensor} have the same identity; give each its own name"
                raise RefusedMessageError("bad_identity", detail)


def _counted(value: Any) -> int | None:
    try:
        number: int = msgspec.convert(value, int, strict=False)
    except msgspec.ValidationError:
        return None
    return number if 0 <= number < MAX_SEQ else None


def _bare_number(payload: bytes) -> float | None:
    """Return a plain number; None for anything else, which is then looked at closely."""
    try:
        number = float(payload)
    except ValueError:
        return None
    return number if -LIMIT <= number <= LIMIT and b"_" not in payload else None
