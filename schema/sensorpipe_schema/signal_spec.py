"""What a measurement's signal may be, as a Sensor states it.

`spec.measurements[].signal` holds exactly one of these; a sum holds the others.
"""

from dataclasses import dataclass
from typing import Final

from sensorpipe_schema.shape import Choice, Duration, Field, Listing, Number, Record, Shape

MAX_PARTS: Final = 16
"""Signals in a sum. A sum of sums would be one sum, so it holds none."""


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same value."""

    value: float


@dataclass(frozen=True, slots=True)
class Normal:
    """Independent values, normally distributed."""

    mean: float
    stdev: float


@dataclass(frozen=True, slots=True)
class Sine:
    """A sine wave; `phase` is a fraction of the period, so 0.25 begins at the crest."""

    mean: float
    amplitude: float
    period_ms: int
    phase: float


@dataclass(frozen=True, slots=True)
class Linear:
    """A trend that begins at `start` and rises by `per_hour`."""

    start: float
    per_hour: float


@dataclass(frozen=True, slots=True)
class RandomWalk:
    """Begins at `start`; each interval adds a normal step of standard deviation `step`."""

    start: float
    step: float


Simple = Constant | Normal | Sine | Linear | RandomWalk


class Sum(tuple[Simple, ...]):
    """The sum of its signals, each with noise of its own."""

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

SIGNAL: Final = Choice(
    {**_SIMPLE, "sum": Listing(Choice(_SIMPLE, _TYPES), 1, MAX_PARTS, make=Sum)},
    {**_TYPES, Sum: "sum"},
)
