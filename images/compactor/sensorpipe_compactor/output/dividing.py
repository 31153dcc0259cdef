"""Divides windows, so that Kafka takes the partial of each."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec.structs import replace
from sensorpipe_schema.sketch import MAX_BUCKETS

from sensorpipe_compactor.windowing.buffers import Arrivals, Portion, Window

# Estimated bytes in a partial: of a sensor beside all else, of a bucket of its sketch, of a listed
# value, of a source beside its `src`, and of an interval.
_SENSOR_BYTES: Final = 256
_BUCKET_BYTES: Final = 5
_VALUE_BYTES: Final = 8
_SOURCE_BYTES: Final = 24
_INTERVAL_BYTES: Final = 12

_MOST_BYTES: Final = 1_024
"""More than a reading takes, or a sensor of one source with its names."""


def all_parts(windows: Iterable[Window], max_bytes: int) -> list[Window]:
    """Return windows for records of `max_bytes`, in their order, large ones in several parts.

    What a part takes is estimated; one that is too large for Kafka is halved afterwards.
    """
    most, found = max_bytes // _MOST_BYTES, list[Window]()
    for window in windows:
        if window.count + len(window.portions) <= most:
            found.append(window)
        else:
            found += parts(window, max_bytes)
    return found


def parts(window: Window, max_bytes: int) -> Iterator[Window]:
    """Yield the window, or several with some of its readings each, see `all_parts`."""
    divided = None if _estimate(window) <= max_bytes else halves(window)
    if divided is None:
        yield window
        return
    for half in divided:
        yield from parts(half, max_bytes)


def _estimate(window: Window) -> int:
    """Return how many bytes the partial of a window takes, about."""
    return sum(
        _estimate_sensor(portions, itemized=window.itemized) for portions in window.by_sensor()
    )


def _estimate_sensor(portions: Sequence[Portion], *, itemized: bool) -> int:
    count = sum(len(portion.values) for portion in portions)
    size = _SENSOR_BYTES + _BUCKET_BYTES * min(count, 2 * MAX_BUCKETS)
    size += _VALUE_BYTES * count if itemized else 0
    for portion in portions:
        if portion.src is not None:
            size += len(portion.src.encode()) + _SOURCE_BYTES
            size += _INTERVAL_BYTES * len(portion.intervals)
    return size


def halves(window: Window) -> tuple[Window, Window] | None:
    """Return two windows that hold what this one does, or None where it cannot be divided.

    It is divided by sensors and sources, then by readings: a single one cannot be divided.
    """
    portions = window.portions
    if len(portions) == 1:
        (portion,) = portions
        if len(portion.values) == 1:
            return None
        portions = _halves_of(portion)
    middle = len(portions) // 2
    one, other = portions[:middle], portions[middle:]
    return replace(window, portions=one), replace(window, portions=other)


def _halves_of(portion: Portion) -> list[Portion]:
    """Return two portions of a source with half of the values each, and their `seq`."""
    values, middle = portion.values, len(portion.values) // 2
    halves = [values[:middle], values[middle:]], portion.intervals.split(middle)
    return [_part(portion, *half) for half in zip(*halves, strict=True)]


def _part(portion: Portion, values: list[float], intervals: Arrivals) -> Portion:
    part = replace(portion, values=values, first=0, last=0, further=None)
    for first, last in intervals:
        part.add_range(first, last)
    return part
