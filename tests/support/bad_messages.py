"""Ninety kinds of messages that are no readings, as devices send them by mistake."""

import json
import time
from typing import Any, Final, NamedTuple

from sensorpipe_schema.feed.decoder import MAX_ITEMS
from sensorpipe_schema.feed.decoder import MAX_PAYLOAD as MAX_OF_A_FEED
from sensorpipe_schema.reading import MAX_PAYLOAD
from sensorpipe_schema.sensor import API_VERSION

NOW: Final = time.time_ns() // 1_000_000
"""When the messages are made, in unix milliseconds."""

_DAY: Final = 24 * 3600 * 1000
_GOOD: Final = f'{{"ts": {NOW}, "val": 4.5}}'.encode()


class Bad(NamedTuple):
    """A message that is no reading; each has a topic of its own."""

    kind: str
    """What is wrong with it."""
    reason: str
    payload: bytes
    topic: str
    feed: str | None = None
    """The Feed that takes it."""


def _ts(value: object) -> bytes:
    return f'{{"ts": {value}, "val": 4.5}}'.encode()


def _val(value: str) -> bytes:
    return f'{{"ts": {NOW}, "val": {value}}}'.encode()


def _more(more: str) -> bytes:
    return f'{{"ts": {NOW}, "val": 4.5, {more}}}'.encode()


_NATIVE: Final[dict[str, dict[str, bytes]]] = {
    "not_json": {
        "nothing": b"",
        "a space": b" ",
        "words": b"wind 4.5",
        "key=value": b"ts=1,val=2",
        "the line protocol": b"wind,room=1 val=4.5 1795773600000000000",
        "an open brace": b"{",
        "a brace too many": _GOOD + b"}",
        "two objects": _GOOD + _GOOD,
        "a byte order mark": b"\xef\xbb\xbf" + _GOOD,
        "UTF-16": _GOOD.decode().encode("utf-16"),
        "single quotes": _GOOD.replace(b'"', b"'"),
        "no quotes": _GOOD.replace(b'"', b""),
        "a comma at the end": _GOOD.replace(b"}", b",}"),
        "bytes that are no text": b"\xff\xfe\xfd",
        "zeros": b"\0" * 40,
        "XML": b"<wind>4.5</wind>",
        "a deep nest": b"[" * 4000,
        "NaN": _val("NaN"),
        "minus infinity": _val("-Infinity"),
        "a decimal comma": _val("4,5"),
        "a hexadecimal number": _val("0x10"),
        "no value": _val(""),
        "a line break in text": _more('"src": "a\n", "seq": 1'),
    },
    "not_an_object": {
        "a bare number": b"4.5",
        "null": b"null",
        "text": b'"wind"',
        "an array of readings": b"[" + _GOOD + b"]",
    },
    "no_ts": {"an empty object": b"{}", "no time": b'{"val": 4.5}', "TS": b'{"TS": 1, "val": 1}'},
    "no_val": {"value instead of val": _GOOD.replace(b"val", b"value")},
    "bad_ts": {
        "a fraction of a millisecond": _ts(f"{NOW}.5"),
        "a time in quotes": _ts(f'"{NOW}"'),
        "a date": _ts('"2026-01-02T03:04:05Z"'),
        "no time but null": _ts("null"),
        "no time but true": _ts("true"),
    },
    "too_old": {
        "seconds": _ts(NOW // 1000),
        "zero": _ts(0),
        "a time before 1970": _ts(-NOW),
        "eight days ago": _ts(NOW - 8 * _DAY),
    },
    "ahead_of_time": {"tomorrow": _ts(NOW + _DAY), "microseconds": _ts(NOW * 1000)},
    "bad_val": {
        "a number in quotes": _val('"4.5"'),
        "null as value": _val("null"),
        "true as value": _val("true"),
        "an array as value": _val("[4.5]"),
        "an object as value": _val('{"mean": 4.5}'),
    },
    "val_not_finite": {"too large a value": _val("1e999"), "400 digits": _val("9" * 400)},
    "bad_src": {
        "a number as src": _more('"src": 7, "seq": 1'),
        "an empty src": _more('"src": "", "seq": 1'),
        "a long src": _more(f'"src": "{"s" * 129}", "seq": 1'),
    },
    "bad_seq": {
        "a negative seq": _more('"src": "s", "seq": -1'),
        "a fraction as seq": _more('"src": "s", "seq": 1.5'),
        "a seq in quotes": _more('"src": "s", "seq": "1"'),
    },
    "too_large": {"8 KiB and a byte": _GOOD.ljust(MAX_PAYLOAD + 1)},
}
"""By reason and kind the payloads on the topics of readings."""

_TOPICS: Final[dict[str, dict[str, str]]] = {
    "bad_topic": {
        "no level": "sensor_readings",
        "no sensor": "sensor_readings/yard",
        "a level too many": "sensor_readings/yard/wind/north",
    },
    "bad_facility_name": {
        "an empty facility": "sensor_readings//wind",
        "a capital": "sensor_readings/Yard/wind",
        "a facility with a space": "sensor_readings/y rd/wind",
    },
    "bad_sensor_name": {
        "an empty sensor": "sensor_readings/yard/",
        "a dot": "sensor_readings/yard/wind.x",
        "another script": "sensor_readings/yard/風",
    },
}
"""By reason and kind the topics of a valid payload."""


def _feed(name: str, **spec: Any) -> dict[str, Any]:
    common = {"topic": f"bad/{name}/{{device}}", "facility": "yard"}
    manifest = {"apiVersion": API_VERSION, "kind": "Feed", "metadata": {"name": name}}
    return {**manifest, "spec": {**common, **spec}}


_ONE: Final = [{"sensor": "t", "at": "/t"}]

FEEDS: Final = (
    _feed("values", readings=_ONE, time={"at": "/at"}, timezone="UTC"),
    _feed("array", each="/data", readings=_ONE),
    _feed("number", payload="number", readings=[{"sensor": "t"}]),
    _feed("influx", payload="influx", readings=[{"sensor": "t", "at": "/fields/t"}]),
    _feed("all", readings=None, numbers={"at": ""}),
    _feed("counter", readings=_ONE, time={"at": "/at"}, identity={"src": ["/eui"], "seq": "/f"}),
    _feed("named", readings=_ONE, facility="{/site}"),
)
"""The Feeds that take the others."""

for _each in FEEDS:
    _each["spec"] = {key: value for key, value in _each["spec"].items() if value is not None}

_OF_FEEDS: Final[dict[str, dict[str, tuple[str, Any]]]] = {
    "values": {
        "half an object": ("not_json", b'{"t": 1'),
        "64 KiB and more": ("too_large", b'{"t": 1}'.ljust(MAX_OF_A_FEED + 1)),
        "a word as value": ("not_a_number", {"t": "warm", "at": NOW}),
        "an object below the path": ("not_a_number", {"t": {"mean": 1}, "at": NOW}),
        "an array below the path": ("not_a_number", {"t": [1], "at": NOW}),
        "NaN in quotes": ("not_a_number", {"t": "NaN", "at": NOW}),
        "no time of the device": ("no_time", {"t": 1}),
        "a word as time": ("bad_time", {"t": 1, "at": "yesterday"}),
        "an object as time": ("bad_time", {"t": 1, "at": {"s": 1}}),
        "a clock that was never set": ("too_old", {"t": 1, "at": "2000-01-01T00:00:12Z"}),
        "a clock that is a day ahead": ("ahead_of_time", {"t": 1, "at": NOW + _DAY}),
    },
    "array": {
        "an object instead of an array": ("not_an_array", {"data": {"t": 1}}),
        "too many items": ("too_many_items", {"data": [{"t": 1}] * (MAX_ITEMS + 1)}),
        "one item that is wrong": ("not_a_number", {"data": [{"t": 1}, {"t": "x"}]}),
    },
    "number": {
        "a word instead of a number": ("not_a_number", b"on"),
        "a number with a comma": ("not_a_number", b"1,5"),
        "a number with its unit": ("not_a_number", b"21.5 C"),
    },
    "influx": {
        "JSON instead of a line": ("not_influx", {"t": 1}),
        "a line without fields": ("not_influx", b"weather,room=1 1795773600000000000"),
    },
    "all": {
        "seventy numbers": ("too_many_sensors", {f"n{n}": n for n in range(70)}),
        "two values of one name": ("bad_sensor_name", {"a_b": 1, "a": {"b": 2}}),
    },
    "counter": {
        "a negative counter": ("bad_identity", {"t": 1, "at": NOW, "eui": "0a", "f": -1}),
        "an object as device": ("bad_identity", {"t": 1, "at": NOW, "eui": {}, "f": 1}),
    },
    "named": {
        "no name of the facility": ("bad_facility_name", {"t": 1}),
        "a facility of signs only": ("bad_facility_name", {"t": 1, "site": "°"}),
    },
}
"""By Feed and kind the reason and the payload, bytes or what becomes JSON."""


def _of_feeds() -> list[Bad]:
    return [
        Bad(
            kind,
            reason,
            content if isinstance(content, bytes) else json.dumps(content).encode(),
            f"bad/{feed}/{number}",
            feed,
        )
        for feed, kinds in _OF_FEEDS.items()
        for number, (kind, (reason, content)) in enumerate(kinds.items())
    ]


def _natives() -> list[Bad]:
    return [
        Bad(kind, reason, payload, f"sensor_readings/yard/{reason}-{number}")
        for reason, kinds in _NATIVE.items()
        for number, (kind, payload) in enumerate(kinds.items())
    ]


BAD: Final = (
    *_natives(),
    *(
        Bad(kind, reason, _GOOD, topic)
        for reason, kinds in _TOPICS.items()
        for kind, topic in kinds.items()
    ),
    *_of_feeds(),
)
"""All of them, each with a fault of its own."""
