"""Divides windows, so that Kafka takes the partial of each."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final, TypeVar

from sensorpipe_schema.intervals import IntervalSet
from sensorpipe_schema.sketch import MAX_BUCKETS

from sensorpipe_compactor.buffers import Arrivals, Bucket, Portion, Window

_BUCKET_BYTES: Final = 5
_VALUE_BYTES: Final = 8
_SHARE: Final = 2
"""Divisor of a record's size: half of it is for sketches and values; names and intervals take
less than the other half."""

K = TypeVar("K")
V = TypeVar("V")


def parts(window: Window, max_bytes: int) -> Iterator[Window]:
    """Yield the window, or several with some of its readings each, for records of `max_bytes`.

    What a part takes is estimated; one that is too large for Kafka is halved afterwards.
    """
    group: dict[str, Bucket] = {}
    size = 0
    for sensor, bucket in window.buckets.items():
        needed = _needed(window, bucket)
        if group and size + needed > max_bytes // _SHARE:
            yield from _small(replace(window, buckets=group), max_bytes)
            group, size = {}, 0
        group[sensor] = bucket
        size += needed
    yield from _small(replace(window, buckets=group), max_bytes)


def _needed(window: Window, bucket: Bucket) -> int:
    """Return how many bytes the sketch of a bucket takes, and its values where they are listed."""
    sketch = _BUCKET_BYTES * min(bucket.count, 2 * MAX_BUCKETS)
    return sketch + (_VALUE_BYTES * bucket.count if window.itemized else 0)


def _small(window: Window, max_bytes: int) -> Iterator[Window]:
    """Yield the window, or parts of it where the values that it lists take too much."""
    divided = None
    if window.itemized and _VALUE_BYTES * window.count > max_bytes // _SHARE:
        divided = halves(window)
    if divided is None:
        yield window
        return
    for half in divided:
        yield from _small(half, max_bytes)


def halves(window: Window) -> tuple[Window, Window] | None:
    """Return two windows that hold what this one does, or None where it cannot be divided.

    It is divided by sensors, then by sources, so that each `seq` stays with its value. The
    readings of one sensor and one source can be divided only if they have no identity, or each
    has its own.
    """
    if len(window.buckets) > 1:
        first, second = _halved(window.buckets)
        return replace(window, buckets=first), replace(window, buckets=second)
    ((sensor, bucket),) = window.buckets.items()
    if len(bucket.portions) > 1:
        divided = _halved(bucket.portions)
    elif (window.itemized or None in bucket.portions) and bucket.count > 1:
        ((src, portion),) = bucket.portions.items()
        one_half, other_half = _halves_of(portion)
        divided = {src: one_half}, {src: other_half}
    else:
        return None
    one, other = (replace(bucket, portions=portions) for portions in divided)
    return replace(window, buckets={sensor: one}), replace(window, buckets={sensor: other})


def _halves_of(portion: Portion) -> tuple[Portion, Portion]:
    """Return two portions of a source with half of the values each, and their `seq`."""
    values, intervals = portion.values, portion.intervals
    middle = len(values) // 2
    if isinstance(intervals, Arrivals):
        first, second = intervals.split(middle)
        return Portion(values[:middle], first), Portion(values[middle:], second)
    return Portion(values[:middle], IntervalSet()), Portion(values[middle:], IntervalSet())


def _halved(items: dict[K, V]) -> tuple[dict[K, V], dict[K, V]]:
    middle = len(items) // 2
    return dict(islice(items.items(), middle)), dict(islice(items.items(), middle, None))
