"""Adds up windows and rollups by bucket, facility and sensor. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sensorpipe_schema.compacted_reading_pb2 import Rollup
from sensorpipe_schema.moments import merged

from sensorpipe_server.storage.fold import Window
from sensorpipe_server.storage.reads.steps import floor
from sensorpipe_server.storage.rollups.levels import Level
from sensorpipe_server.storage.rollups.totals import SensorTotal, Total

Values = Mapping[str, float]
"""`count`, `mean`, `m2`, `min` and `max` of a sensor, and the quantiles that were asked for."""

QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
"""The quantiles that can be asked for, by name."""


Row = tuple[int, str, str, Values]
"""Start of a bucket in unix milliseconds, facility, sensor, and what it measured."""


class TooFineError(Exception):
    """A part of the range has only rollups that are longer than the buckets.

    Retention has removed what they were computed from.
    """


class Buckets:
    """Sums of buckets of `every_ms`, from the values that stand beside stored summaries."""

    def __init__(self, every_ms: int) -> None:
        self._every_ms = every_ms
        self._found: dict[tuple[int, str], dict[str, Values]] = {}

    def take(
        self, facility: str, start_ms: int, sensors: Mapping[str, Values], level: Level | None
    ) -> None:
        """Add a part of a window, or the rollup of a level; raise TooFineError if it is too long.

        Only its start says which bucket a window belongs to. Raises KeyError or TypeError for
        values that are none, and then adds nothing of their sensor.
        """
        if level is not None and self._every_ms % level.length_ms:
            raise TooFineError
        key = floor(start_ms, self._every_ms), facility
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = {}
        for name, more in sensors.items():
            before = found.get(name)
            found[name] = _checked(more) if before is None else _sum(before, more)

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(map(len, self._found.values()))

    def rows(self) -> list[Row]:
        """Return the rows, ordered by time, facility and sensor."""
        return [
            (*key, name, values)
            for key in sorted(self._found)
            for name, values in sorted(self._found[key].items())
        ]


def _checked(values: Values) -> Values:
    """Return values, or raise KeyError or TypeError if one is missing."""
    values["count"], values["mean"], values["m2"], values["min"], values["max"]
    return values


def _sum(some: Values, more: Values) -> Values:
    moments = (
        (int(some["count"]), some["mean"], some["m2"]),
        (int(more["count"]), more["mean"], more["m2"]),
    )
    count, mean, m2 = merged(*moments)
    low, high = min(some["min"], more["min"]), max(some["max"], more["max"])
    return {"count": count, "mean": mean, "m2": m2, "min": low, "max": high}


class SketchBuckets:
    """The same with some of QUANTILES, from whole summaries; only of `chosen` sensors, if any."""

    def __init__(self, every_ms: int, quantiles: Sequence[str], chosen: Collection[str]) -> None:
        self._every_ms = every_ms
        self._quantiles = tuple(quantiles)
        self._chosen = frozenset(chosen) or None
        self._found: dict[tuple[int, str], Total] = {}

    def take_rollup(
        self,
        facility: str,
        start_ms: int,
        level: Level,
        rollup: Rollup,
    ) -> None:
        """Add a rollup; raise TooFineError if it is longer than a bucket."""
        if self._every_ms % level.length_ms:
            raise TooFineError
        self._of(facility, start_ms).add_rollup(rollup)

    def take_window(self, window: Window) -> bool:
        """Add a window; return whether all of it was readable."""
        total = self._of(window.key.facility, window.key.start_ms)
        before = total.unreadable
        total.add_window(window)
        return total.unreadable == before

    def rows(self) -> list[Row]:
        """Return the rows, ordered by time, facility and sensor."""
        return [
            (*key, name, self._values(total))
            for key in sorted(self._found)
            for name, total in sorted(self._found[key].sensors.items())
        ]

    def _of(self, facility: str, start_ms: int) -> Total:
        key = floor(start_ms, self._every_ms), facility
        total = self._found.get(key)
        if total is None:
            total = self._found[key] = Total(self._chosen, sources=False)
        return total

    def _values(self, total: SensorTotal) -> Values:
        moments = total.moments
        values: dict[str, float] = {
            "count": moments.count,
            "mean": moments.mean,
            "m2": moments.m2,
            "min": moments.min,
            "max": moments.max,
        }
        found = total.sketch.quantiles(*(QUANTILES[name] for name in self._quantiles))
        for name, value in zip(self._quantiles, found, strict=True):
            values[name] = min(max(value, moments.min), moments.max)
        return values
