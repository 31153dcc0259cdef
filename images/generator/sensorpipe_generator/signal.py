"""The values of a measurement, each a function of the Sensor, the tick and the device only."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sensorpipe_schema.sensor import Measurement, Sensor
from sensorpipe_schema.signal_spec import Constant, Linear, Normal, RandomWalk, Signal, Sine, Sum

from sensorpipe_generator.noise import Noise
from sensorpipe_generator.schedule import Schedule

Values = NDArray[np.float64]

_HOUR_MS: Final = 3_600_000


class Series:
    """All values of one measurement since the start of a generator.

    Time counts from the schedule's start: a sine begins with its phase in every run.
    """

    def __init__(self, sensor: Sensor, measurement: Measurement) -> None:
        spec = sensor.spec
        self._count = spec.count
        self._interval_ms = spec.interval_ms
        self._offsets_ms = Schedule(0, spec.interval_ms, spec.count).offsets_ms()
        self._names = (spec.seed, spec.facility, measurement.name)
        self._values = self._build(measurement.signal, 0)

    def at(self, tick: int) -> Values:
        """Return the values of all devices at a tick; fastest if ticks come in order."""
        return self._values(tick)

    def _build(self, signal: Signal, part: int) -> Callable[[int], Values]:
        """Return the function from a tick to its values; `part` is the signal's index in a sum."""
        match signal:
            case Constant(value):
                return lambda _: np.full(self._count, value)
            case Normal(mean, stdev):
                noise = Noise(*self._names, part)
                return lambda tick: mean + stdev * noise.at(tick, self._count)
            case Sine():
                return lambda tick: self._sine(signal, tick)
            case Linear(start, per_hour):
                return lambda tick: start + per_hour * (self._elapsed_ms(tick) / _HOUR_MS)
            case RandomWalk():
                return _Walk(signal, Noise(*self._names, part), self._count).at
            case Sum():
                parts = [self._build(simple, i) for i, simple in enumerate(signal)]
                return lambda tick: np.sum([values(tick) for values in parts], axis=0)

    def _elapsed_ms(self, tick: int) -> NDArray[np.int64]:
        return self._offsets_ms + tick * self._interval_ms

    def _sine(self, sine: Sine, tick: int) -> Values:
        # whole periods go before the division, so that the phase stays exact for years
        turns = self._elapsed_ms(tick) % sine.period_ms / sine.period_ms + sine.phase
        wave: Values = sine.mean + sine.amplitude * np.sin(2 * np.pi * turns)
        return wave


class _Walk:
    """A random walk for each device; an earlier tick is computed again from tick 0."""

    def __init__(self, walk: RandomWalk, noise: Noise, count: int) -> None:
        self._walk = walk
        self._noise = noise
        self._begin: Values = np.full(count, walk.start)
        self._tick, self._now = 0, self._begin

    def at(self, tick: int) -> Values:
        """Return the values of all devices at a tick."""
        if tick < self._tick:
            self._tick, self._now = 0, self._begin
        while self._tick < tick:
            self._tick += 1
            self._now = self._now + self._walk.step * self._noise.at(self._tick, len(self._now))
        return self._now
