"""Names of the facilities and sensors of a Feed's messages, remembered by topic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sensorpipe_schema.feed.pointer import Pointer, write_pointer
from sensorpipe_schema.feed.spec import FeedSpec, rules_of
from sensorpipe_schema.feed.template import NameTemplate
from sensorpipe_schema.feed.values import RefusedMessageError, short_src, text_of
from sensorpipe_schema.mistakes import as_name

MAX_SENSORS: Final = 1_000
"""Largest number of names of sensors that the payloads of one Feed may give."""

MAX_REMEMBERED: Final = 256
"""Largest number of characters of a topic, or of a name in a payload, that is remembered."""

_MAX_TOPICS: Final = 10_000
"""Largest number of topics remembered; then all are forgotten, and learned again."""


@dataclass(frozen=True, slots=True)
class Route:
    """What the topic of a message says."""

    levels: Mapping[str, str]
    facility: str | None
    """None if the payload names it."""
    sensors: tuple[str, ...] | None
    """Of each rule; None if the payload names one of them."""
    src: str
    """Names the source where the time is the identity."""


class Names:
    """Names of one Feed."""

    def __init__(self, spec: FeedSpec) -> None:
        self._topic = spec.topic
        self._facility = spec.facility
        self._sensors = [rule.sensor for rule in rules_of(spec)]
        self._units = [rule.unit for rule in rules_of(spec)]
        templates = [spec.facility, *self._sensors]
        found = (pointer for template in templates for pointer in template.pointers)
        self.pointers: tuple[Pointer, ...] = tuple(dict.fromkeys(found))
        """Paths to what names are made of."""
        self._has_numbers = spec.numbers is not None
        self.routes: dict[str, Route] = {}
        """What topics said, by topic."""
        self.units: dict[str, str] = {}
        """Units by sensor, as far as topics and payloads have named those that have one."""
        self._given: dict[str, str] = {}
        """Names that payloads gave, by what they were before."""

    def route(self, topic: str, feed: str) -> Route | None:
        """Return what a topic says; None if it is not the Feed's.

        Raises RefusedMessageError, naming `feed`, if it leaves nothing for a name.
        """
        if (known := self.routes.get(topic)) is not None:
            return known
        try:
            route = self._read(topic)
        except RefusedMessageError as error:
            raise error.in_feed(feed) from None
        if route is not None and len(topic) <= MAX_REMEMBERED:
            if len(self.routes) >= _MAX_TOPICS:
                self.routes.clear()
                self.units.clear()
            self.routes[topic] = route
        return route

    def _read(self, topic: str) -> Route | None:
        levels = self._topic.match(topic)
        if levels is None:
            return None
        facility = None
        if not self._facility.pointers:
            facility = _filled(self._facility, levels, "bad_facility_name")
        sensors = None
        if not self._has_numbers and not any(template.pointers for template in self._sensors):
            sensors = tuple(_filled(each, levels, "bad_sensor_name") for each in self._sensors)
            for place, name in enumerate(sensors):
                self._learn_unit(place, name)
        return Route(levels, facility, sensors, short_src(topic))

    def facility(self, route: Route, values: Sequence[Any]) -> str:
        """Return the name of the facility that a payload gives; `values` are of `pointers`."""
        return _filled(self._facility, self._all(route, values), "bad_facility_name")

    def sensor(self, place: int, route: Route, values: Sequence[Any]) -> str:
        """Return the name of the sensor of a rule that a payload gives."""
        template = self._sensors[place]
        name = _filled(template, self._all(route, values), "bad_sensor_name")
        if template.pointers:
            name = self.bounded(name)
        self._learn_unit(place, name)
        return name

    def bounded(self, name: str) -> str:
        """Return a name that a payload gave; raise RefusedMessageError if they are too many."""
        if len(name) > MAX_REMEMBERED:
            name = as_name(name) or name[:MAX_REMEMBERED]
        known = self._given.get(name)
        if known is None:
            if len(self._given) >= MAX_SENSORS:
                detail = f"{name!r:.80}: payloads gave {MAX_SENSORS} other names of sensors before"
                raise RefusedMessageError("too_many_sensors", detail)
            known = as_name(name)
            if not known:
                raise RefusedMessageError("bad_sensor_name", f"nothing is left of {name!r:.80}")
            self._given[name] = known
        return known

    def _learn_unit(self, place: int, sensor: str) -> None:
        unit = self._units[place]
        if unit is not None:
            self.units[sensor] = unit

    def _all(self, route: Route, values: Sequence[Any]) -> dict[Any, str]:
        texts: dict[Any, str] = dict(route.levels)
        for pointer, value in zip(self.pointers, values, strict=False):
            text = text_of(value)
            if text is not None:
                texts[pointer] = text
        return texts


def _filled(template: NameTemplate, texts: Mapping[Any, str], reason: str) -> str:
    try:
        name = template.fill(texts)
    except KeyError as error:
        (missing,) = error.args
        at = write_pointer(missing) if isinstance(missing, tuple) else missing
        raise RefusedMessageError(reason, f"{at} is missing or no name") from error
    if not name:
        detail = f"nothing is left of {template.text!r} that a name may have"
        raise RefusedMessageError(reason, detail)
    return name
