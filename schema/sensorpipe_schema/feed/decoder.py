"""Makes readings of the messages of one Feed."""

from collections.abc import Iterable
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
    NotAnArrayError,
    Values,
    fast_reader,
    pick,
    read_slowly,
)
from sensorpipe_schema.feed.spec import FORMATS, Counter, rules_of
from sensorpipe_schema.feed.times import HALF_MICROSECOND, BadTimeError, to_ms
from sensorpipe_schema.feed.values import LIMIT, Converter, RefusedMessageError, short_src, text_of
from sensorpipe_schema.reading import MAX_SEQ

MAX_PAYLOAD: Final = 64 * 1024
"""Largest size of the payload of a message of a Feed, in bytes."""

MAX_ITEMS: Final = 1_000
"""Largest number of items of an array, or lines, in one message."""


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
        self._may_be_text = spec.time is not None and not FORMATS[spec.time.format]
        self._zone = ZoneInfo(spec.timezone) if spec.timezone else None
        counter = spec.identity if isinstance(spec.identity, Counter) else None
        self._by_time = spec.identity == "time"
        wanted: list[tuple[Pointer, Any]] = [
            (rule.at, ANY if rule.values else NUMBER) for rule in rules
        ]
        self._time_at = len(wanted)
        if spec.time is not None:
            wanted.append((spec.time.at, TIME))
        self._counter_at = len(wanted)
        self._counter = counter
        if counter is not None:
            wanted += [(pointer, ANY) for pointer in (counter.seq, *counter.src)]
        self._names_at = len(wanted)
        wanted += [(pointer, ANY) for pointer in self._names.pointers]
        self._wanted = [pointer for pointer, _ in wanted]
        is_json = spec.payload == "json" and self._numbers is None
        self._read_fast = fast_reader(wanted, spec.each) if is_json else None

    def decode(self, topic: str, payload: bytes, now_ms: int) -> list[Readings]:
        """Return the readings of a message that arrived at `now_ms` (Unix milliseconds).

        There are none if it has none of the named values, or its topic is not the Feed's.
        Raises RefusedMessageError if it is no message of the Feed; then none of it counts.
        """
        route = self._routes.get(topic)
        if route is None or not payload:
            route = self._names.route(topic, self.feed.name)
            if route is None or not payload:
                return []
        if self._is_bare and (number := _bare_number(payload)) is not None:
            (sensor,) = route.sensors or ("",)
            return [Readings(route.facility or "", now_ms, None, 0, [(sensor, number)])]
        try:
            if self._read_fast is None or len(payload) > MAX_PAYLOAD:
                found = self._read_slowly(payload)
            else:
                try:
                    found = self._read_fast(payload)
                except (msgspec.DecodeError, ValueError, RecursionError):
                    found = self._read_slowly(payload)
            if len(found) == 1:
                readings = self._readings(found[0], route, now_ms)
                return [] if readings is None else [readings]
            return self._several(found, route, now_ms)
        except RefusedMessageError as error:
            raise error.in_feed(self.feed.name) from None

    def _several(self, found: list[Values], route: Route, now_ms: int) -> list[Readings]:
        if len(found) > MAX_ITEMS:
            raise RefusedMessageError("too_many_items", f"{len(found)}; at most {MAX_ITEMS}")
        read = [self._readings(values, route, now_ms) for values in found]
        return [readings for readings in read if readings is not None]

    def _read_slowly(self, payload: bytes) -> list[Values]:
        if len(payload) > MAX_PAYLOAD:
            raise RefusedMessageError("too_large", f"{len(payload)} bytes; at most {MAX_PAYLOAD}")
        spec = self._spec
        try:
            match spec.payload:
                case "number":
                    return [self._bare(payload)]
                case "influx":
                    return [self._of(item) for item in parse_lines(payload)]
                case _ if self._numbers is not None:
                    return [self._of(item) for item in read_slowly(payload, [()], spec.each)]
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

    def _of(self, item: Any) -> Values:
        """Return the wanted values of a decoded object, and the object itself for `numbers`."""
        if self._numbers is None:
            return pick(item, self._wanted)
        (whole,) = item if isinstance(item, tuple) else (item,)
        return (*pick(whole, self._wanted), whole)

    def _readings(self, values: Values, route: Route, now_ms: int) -> Readings | None:
        """Return the readings of one object; None if it has none of the named values."""
        sensors = route.sensors
        if sensors is None:
            found = self._named(values, route)
        else:  # most often, all of them are numbers
            pairs = zip(sensors, values, strict=False)
            found = [(name, n) for name, n in pairs if type(n) is float and -LIMIT <= n <= LIMIT]
            if len(found) < len(sensors) or not self._is_plain:
                found = self._found(values, sensors)
        if not found:
            return None
        facility = route.facility
        if facility is None:
            facility = self._names.facility(route, values[self._names_at :])
        ts = now_ms if self._time is None else self._ts(values[self._time_at])
        if self._counter is not None:
            src, seq = self._identity(self._counter, values)
            return Readings(facility, ts, src, seq, found)
        if self._by_time:
            return Readings(facility, ts, route.src, max(ts, 0), found)
        return Readings(facility, ts, None, 0, found)

    def _found(self, values: Values, sensors: Iterable[str]) -> list[tuple[str, float]]:
        found = []
        for value, sensor, converter in zip(values, sensors, self._converters, strict=False):
            if value is not MISSING and value is not None:
                number = converter.number(value)
                if number is not None:
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

    def _ts(self, value: Any) -> int:
        if type(value) is datetime and value.tzinfo is not None and self._may_be_text:
            return int(value.timestamp() * 1000 + HALF_MICROSECOND)  # as `to_ms`, without a call
        time = self._time
        assert time is not None  # noqa: S101  asked for only then
        at = write_pointer(time.at)
        if value is MISSING or value is None:
            raise RefusedMessageError("no_time", f"{at} is missing")
        try:
            return to_ms(value, time.format, self._zone)
        except BadTimeError as error:
            raise RefusedMessageError("bad_time", f"{at}: {error}") from error

    def _identity(self, counter: Counter, values: Values) -> tuple[str | None, int]:
        """Return source and number; none where the message lacks a part of them."""
        seq, *names = values[self._counter_at : self._names_at]
        texts = [name if type(name) is str else text_of(name) for name in names]
        if seq is MISSING or seq is None or MISSING in names or None in names or "" in texts:
            return None, 0
        number = seq if type(seq) is int and 0 <= seq < MAX_SEQ else _counted(seq)
        if number is None or None in texts:
            wrong = counter.seq if number is None else counter.src[texts.index(None)]
            detail = f"{write_pointer(wrong)} is no {'count' if number is None else 'name'}"
            raise RefusedMessageError("bad_identity", detail)
        return short_src("/".join(texts)), number + 1  # type: ignore[arg-type]  # a device may count from 0


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
