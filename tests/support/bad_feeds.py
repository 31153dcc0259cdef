"""Feeds that are wrong: the spec, the field that is named, and a part of what is said about it."""

from typing import Any

_ONE = [{"sensor": "t", "at": "/t"}]


def _spec(**changes: Any) -> dict[str, Any]:
    spec = {"topic": "d/{device}", "facility": "{device}", "readings": _ONE} | changes
    return {name: value for name, value in spec.items() if value is not ...}


def _reading(**changes: Any) -> dict[str, Any]:
    reading = {"sensor": "t", "at": "/t"} | changes
    return _spec(readings=[{k: v for k, v in reading.items() if v is not ...}])


BAD: list[tuple[dict[str, Any], str, str]] = [
    (_spec(topic=...), "spec.topic", "must be given"),
    (_spec(topic=7), "spec.topic", "must be text"),
    (_spec(topic=""), "spec.topic", "must be levels separated by '/'"),
    (_spec(topic="d/" + "x" * 300), "spec.topic", "at most 256 characters"),
    (_spec(topic="d/#"), "spec.topic", "'#' must be a whole level"),
    (_spec(topic="d/x-{device}"), "spec.topic", "'x-{device}' must be a whole level"),
    (_spec(topic="d/{Device}"), "spec.topic", "'{Device}' must be a whole level"),
    (_spec(topic="d/{device...}/x"), "spec.topic", "{device...} must be the last level"),
    (_spec(topic="{device}/{device}"), "spec.topic", "each {x} must have a name of its own"),
    (_spec(topic="sensor_readings/{device}"), "spec.topic", "must not overlap sensor_readings/#"),
    (_spec(topic="{device...}"), "spec.topic", "must not overlap sensor_readings/#"),
    (_spec(topic="{a}/{device}/{b}"), "spec.topic", "must not overlap sensor_readings/#"),
    (_spec(topic="+/{device}/state"), "spec.topic", "must not overlap sensor_readings/#"),
    (_spec(topics="d/+"), "spec.topics", "unknown field; did you mean topic?"),
    (_spec(payload="xml"), "spec.payload", "must be one of json, number, influx"),
    (_spec(facility=...), "spec.facility", "must be given"),
    (_spec(facility="{site}"), "spec.facility", "{site} is no name of a level in spec.topic"),
    (_spec(facility="{device"), "spec.facility", "has a brace without its pair"),
    (_spec(facility="Hall 2"), "spec.facility", "must be 1 to 63 lower-case letters"),
    (_spec(facility=""), "spec.facility", "must be text, with {x}"),
    (_spec(time="/time"), "spec.time", "must be a mapping of at, format"),
    (_spec(time={}), "spec.time.at", "must be given"),
    (_spec(time={"at": "time"}), "spec.time.at", "must be a path such as /temperature"),
    (_spec(time={"at": "/t", "format": "min"}), "spec.time.format", "must be one of auto, s, ms"),
    (_spec(timezone="Mars/Olympus", time={"at": "/t"}), "spec.timezone", "must be the name of a"),
    (_spec(timezone="UTC"), "spec.timezone", "needs spec.time"),
    (_spec(each=7), "spec.each", "must be text"),
    (_spec(each="data"), "spec.each", "must be a path"),
    (_spec(payload="influx", each="/x"), "spec.each", "needs payload json"),
    (_spec(readings=...), "spec", "must have either readings or numbers; got neither"),
    (_spec(numbers={}), "spec", "must have either readings or numbers; got both"),
    (_spec(readings=[]), "spec.readings", "must be a list of 1 to 32"),
    (_spec(readings=_ONE * 33), "spec.readings", "must be a list of 1 to 32"),
    (_spec(readings=_ONE * 2), "spec.readings[1].sensor", "must be unique; 't' is also"),
    (_reading(sensor=...), "spec.readings[0].sensor", "must be given"),
    (_reading(sensor="Temperature"), "spec.readings[0].sensor", "must be 1 to 63 lower-case"),
    (_reading(sensor="{x}"), "spec.readings[0].sensor", "{x} is no name of a level"),
    (_reading(at="t"), "spec.readings[0].at", "must be a path such as /temperature"),
    (_reading(at="/a" * 17), "spec.readings[0].at", "must be a path such as /temperature"),
    (_reading(unit=""), "spec.readings[0].unit", "must be 1 to 32 printable characters"),
    (_reading(scale="2"), "spec.readings[0].scale", "must be a number from -1e+12 to 1e+12"),
    (_reading(offset=float("nan")), "spec.readings[0].offset", "must be a number from"),
    (_reading(values={}), "spec.readings[0].values", "must be a mapping of 1 to 32 values"),
    (_reading(values={True: 1}), "spec.readings[0].values", "in quotes, to numbers"),
    (_reading(values={"ON": "1"}), "spec.readings[0].values", "in quotes, to numbers"),
    (_reading(path="/t"), "spec.readings[0].path", "unknown field"),
    (
        _spec(readings=[{"sensor": "{device} a"}, {"sensor": "{device}.a"}]),
        "spec.readings[1].sensor",
        "must be unique; 'device__a'",
    ),
    (_spec(readings=..., numbers={"at": "x"}), "spec.numbers.at", "must be a path"),
    (_spec(readings=..., numbers={"except": "x"}), "spec.numbers.except", "must be a list of 0"),
    (_spec(ignore="unavailable"), "spec.ignore", "must be a list of 0 to 32"),
    (_spec(ignore=[7]), "spec.ignore[0]", "must be text"),
    (_spec(identity="seq"), "spec.identity", "must be none, time, or a mapping of src and seq"),
    (_spec(identity="time"), "spec.identity", "needs spec.time"),
    (_spec(identity={"src": ["/d"], "seq": "/n"}), "spec.identity", "needs spec.time"),
    (_spec(identity={"seq": "/n"}), "spec.identity.src", "must be given"),
    (_spec(identity={"src": [], "seq": "/n"}), "spec.identity.src", "must be a list of 1 to 4"),
    (_spec(identity={"src": ["/d"]}), "spec.identity.seq", "must be given"),
    (_spec(suspend="yes"), "spec.suspend", "must be true or false"),
    (_spec(payload="number"), "spec.readings[0]", "must have no path into the payload"),
    (
        _spec(payload="number", readings=[{"sensor": "a"}], time={"at": "/t"}),
        "spec.time",
        "a payload number is nothing but a value",
    ),
]
"""At least 40 of them, each with one fault."""
