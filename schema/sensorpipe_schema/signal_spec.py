"""The signals of a Sensor's measurements.

`spec.measurements[].signal` is exactly one of these; a sum contains the others.
"""

from dataclasses import dataclass
from typing import Final

from sensorpipe_schema.shape import Array, Duration, Field, Number, OneOf, Record, Shape

MAX_PARTS: Final = 16
"""Largest number of signals in a sum, which cannot contain another sum."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A signal that always has the same value."""

    value: float


@dataclass(frozen=True, slots=True)
class Normal:
    """Independent, normally distributed values."""

    mean: float
    stdev: float


@dataclass(frozen=True, slots=True)
class Sine:
    """A sine wave; `phase` is a fraction of the period: 0.25 starts at the crest."""

    mean: float
    amplitude: float
    period_ms: int
    phase: float


@dataclass(frozen=True, slots=True)
class Linear:
    """A line that starts at `start` and rises by `per_hour` in each hour."""

    start: float
    per_hour: float


@dataclass(frozen=True, slots=True)
class RandomWalk:
    """A walk from `start`: each interval adds a normal step with standard deviation `step`."""

    start: float
    step: float


Simple = Constant | Normal | Sine | Linear | RandomWalk


class Sum(tuple[Simple, ...]):
    """The sum of several signals, each with its own noise."""

    __slots__ = ()


Signal = Simple | Sum

_VALUE: Final = Number()
_SPREAD: Final = Number(low=0)

_SIMPLE: Final[dict[str, Shape]] = {
    "constant": Record(Constant, {"value": Field(_VALUE, "The value.")}),
    "normal": Record(
        Normal,
        {
            "mean": Field(_VALUE, "The mean of the values."),
            "stdev": Field(_SPREAD, "Their standard deviation."),
        },
    ),
    "sine": Record(
        Sine,
        {
            "mean": Field(_VALUE, "The middle of the wave.", 0.0),
            "amplitude": Field(_VALUE, "From the middle to the crest."),
            "period": Field(
                Duration("10ms", "366d"), "From crest to crest.", attribute="period_ms"
            ),
            "phase": Field(Number(0, 1), "Where it begins, as a fraction of the period.", 0.0),
        },
    ),
    "linear": Record(
        Linear,
        {
            "start": Field(_VALUE, "The value at the start of the generator."),
            "perHour": Field(_VALUE, "What it gains in an hour."),
        },
    ),
    "randomWalk": Record(
        RandomWalk,
        {
            "start": Field(_VALUE, "The value at the start of the generator."),
            "step": Field(_SPREAD, "The standard deviation of the step of one interval."),
        },
    ),
}
_TYPES: Final[dict[type, str]] = {
    Constant: "constant",
    Normal: "normal",
    Sine: "sine",
    Linear: "linear",
    RandomWalk: "randomWalk",
}

SIGNAL: Final = OneOf(
    {**_SIMPLE, "sum": Array(OneOf(_SIMPLE, _TYPES), 1, MAX_PARTS, make=Sum)},
    {**_TYPES, Sum: "sum"},
)
