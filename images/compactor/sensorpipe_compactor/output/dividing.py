"""Divides windows, so that Kafka takes the partial of each."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final, TypeVar

from sensorpipe_schema.sketch import MAX_BUCKETS

from sensorpipe_compactor.buffers import Bucket, Portion, Window

# Estimated bytes in a partial: of a sensor beside all else, of a bucket of its sketch, of a listed
# value, of a source beside its `src`, and of an interval.
_SENSOR_BYTES: Final = 256
_BUCKET_BYTES: Final = 5
_VALUE_BYTES: Final = 8
_SOURCE_BYTES: Final = 24
_INTERVAL_BYTES: Final = 12

K = TypeVar("K")
V = TypeVar("V")


def parts(window: Window, max_bytes: int) -> Iterator[Window]:
    """Yield the window, or several with some of its readings each, for records of `max_bytes`.

    What a part takes is estimated; one that is too large for Kafka is halved afterwards.
    """
    divided = halves(window) if _estimate(window) > max_bytes else None
    if divided is None:
        yield window
        return
    for half in divided:
        yield from parts(half, max_bytes)


def _estimate(window: Window) -> int:
    """Return how many bytes the partial of a window takes, about."""
    return sum(_estimate_bucket(bucket, window) for bucket in window.buckets.values())


def _estimate_bucket(bucket: Bucket, window: Window) -> int:
    count = bucket.count
    size = _SENSOR_BYTES + _BUCKET_BYTES * min(count, 2 * MAX_BUCKETS)
    size += _VALUE_BYTES * count if window.itemized else 0
    for src, intervals in bucket.intervals_by_src.items():
        size += len(src.encode()) + _SOURCE_BYTES + _INTERVAL_BYTES * len(intervals)
    return size


def halves(window: Window) -> tuple[Window, Window] | None:
    """Return two windows that hold what this one does, or None where it cannot be divided.

    It is divided by sensors, then by sources, then by readings: a single one cannot be divided.
    """
    if len(window.buckets) > 1:
        first, second = _halved(window.buckets)
        return replace(window, buckets=first), replace(window, buckets=second)
    ((sensor, bucket),) = window.buckets.items()
    if len(bucket.portions) > 1:
        divided = _halved(bucket.portions)
    elif bucket.count > 1:
        ((src, portion),) = bucket.portions.items()
        one_half, other_half = _halves_of(portion)
        divided = {src: one_half}, {src: other_half}
    else:
        return None
    one, other = (replace(bucket, portions=portions) for portions in divided)
    return replace(window, buckets={sensor: one}), replace(window, buckets={sensor: other})


def _halves_of(portion: Portion) -> tuple[Portion, Portion]:
    """Return two portions of a source with half of the values each, and their `seq`."""
    values, middle = portion.values, len(portion.values) // 2
    first, second = portion.intervals.split(middle)
    one = Portion(values[:middle], first, portion.sparse)
    return one, Portion(values[middle:], second, portion.sparse)


def _halved(items: dict[K, V]) -> tuple[dict[K, V], dict[K, V]]:
    middle = len(items) // 2
    return dict(islice(items.items(), middle)), dict(islice(items.items(), middle, None))
