"""The Feed, `sensorpipe.dev/v1alpha1`: which messages of devices are readings, and how.

The tables below are the rules of its fields; `checks` has those that concern several fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sensorpipe_schema.feed.pointer import Pointer
from sensorpipe_schema.feed.shapes import (
    IdentityShape,
    PointerShape,
    TemplateShape,
    TopicShape,
    ValueMap,
    ZoneShape,
)
from sensorpipe_schema.feed.template import NameTemplate
from sensorpipe_schema.feed.topic import TopicTemplate
from sensorpipe_schema.names import MAX_UNIT
from sensorpipe_schema.shape import Array, Boolean, Field, Number, Record, Text

MAX_READINGS: Final = 32
"""Largest number of entries of `readings`."""

FORMATS: Final = {"auto": 0, "s": 1000, "ms": 1, "us": 1e-3, "ns": 1e-6, "rfc3339": 0}
"""Formats of times, with the milliseconds of one unit; 0 where the value shows it."""

PAYLOADS: Final = ("json", "number", "influx")


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `readings`: where in the payload a sensor's value is, and what it means."""

    sensor: NameTemplate
    at: Pointer
    unit: str | None
    scale: float
    offset: float
    values: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class Numbers:
    """All numbers and booleans below a path; each is named by the keys that lead to it."""

    at: Pointer
    excluded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Time:
    """Where in the payload the time is, and its format."""

    at: Pointer
    format: str


@dataclass(frozen=True, slots=True)
class Counter:
    """An identity: `seq` counts the messages of the device that the values of `src` name."""

    src: tuple[Pointer, ...]
    seq: Pointer


@dataclass(frozen=True, slots=True)
class FeedSpec:
    """Which messages are taken, and how their values become readings."""

    topic: TopicTemplate
    payload: str
    facility: NameTemplate
    time: Time | None
    timezone: str | None
    each: Pointer | None
    readings: tuple[Rule, ...] | None
    numbers: Numbers | None
    ignore: tuple[str, ...]
    identity: str | Counter
    """`none`, `time` or a Counter."""
    suspend: bool


def _named(pattern: str, says: str) -> Text:
    return Text(pattern, says)


_POINTER: Final = PointerShape()
_TEMPLATE: Final = TemplateShape()
_TEXT: Final = _named(r"[^\x00-\x1f\x7f]{1,64}", "1 to 64 printable characters")

_RULE: Final = Record(
    Rule,
    {
        "sensor": Field(_TEMPLATE, "The sensor's name; a template."),
        "at": Field(_POINTER, "Where its value is in the payload.", ()),
        "unit": Field(
            _named(rf"[^\x00-\x1f\x7f]{{1,{MAX_UNIT}}}", f"1 to {MAX_UNIT} printable characters"),
            "The unit of its values.",
            None,
        ),
        "scale": Field(Number(), "What the value is multiplied by.", 1.0),
        "offset": Field(Number(), "What is added then.", 0.0),
        "values": Field(ValueMap(), "Numbers that stand for other values, such as ON.", None),
    },
)
_NUMBERS: Final = Record(
    Numbers,
    {
        "at": Field(_POINTER, "What the numbers are below.", ()),
        "except": Field(
            Array(_TEXT, 0, 64), "Names of sensors that are left out.", (), attribute="excluded"
        ),
    },
)
_TIME: Final = Record(
    Time,
    {
        "at": Field(_POINTER, "Where the time is in the payload."),
        "format": Field(
            _named("|".join(FORMATS), f"one of {', '.join(FORMATS)}"),
            "Its format; auto tells seconds to nanoseconds by their magnitude.",
            "auto",
        ),
    },
)
COUNTER: Final = Record(
    Counter,
    {
        "src": Field(Array(_POINTER, 1, 4), "Values that name the device and its session."),
        "seq": Field(_POINTER, "The device's own count of its messages."),
    },
)

SPEC: Final = Record(
    FeedSpec,
    {
        "topic": Field(TopicShape(), "Topics of the messages; a template."),
        "payload": Field(
            _named("|".join(PAYLOADS), f"one of {', '.join(PAYLOADS)}"),
            "The format of the messages.",
            "json",
        ),
        "facility": Field(_TEMPLATE, "The name of the facility; a template."),
        "time": Field(_TIME, "Where the time is; the time of arrival if left out.", None),
        "timezone": Field(ZoneShape(), "The zone of times that name none.", None),
        "each": Field(_POINTER, "An array: all paths are then within each of its items.", None),
        "readings": Field(
            Array(_RULE, 1, MAX_READINGS, unique="sensor"), "The sensors, and their values.", None
        ),
        "numbers": Field(_NUMBERS, "Instead of readings: every number and boolean.", None),
        "ignore": Field(Array(_TEXT, 0, 32), "Values that are silently no reading.", ()),
        "identity": Field(IdentityShape(COUNTER), "What tells that a reading came before.", "none"),
        "suspend": Field(Boolean(), "True ends the subscription.", default=False),
    },
)


def rules_of(spec: FeedSpec) -> tuple[Rule, ...]:
    """Return the entries of `readings`, none if it has `numbers`."""
    return spec.readings or ()
