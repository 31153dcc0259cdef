"""Reduces the readings of a window to a partial, with numpy."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.partial import Origin, Partial, Summary
from sensorpipe_schema.sketch import LOG_GAMMA, MAX_BUCKETS, Buckets, Sketch, collapse

from sensorpipe_compactor.windows import Bucket, Window

Floats = np.ndarray[Any, np.dtype[np.float64]]


MAX_SKETCHES: Final = 500_000
"""Bytes that the sketches of one partial may take, beside names and intervals."""

_BUCKET_BYTES: Final = 5


def parts(window: Window) -> Iterator[Window]:
    """Yield the window, or several with some of its sensors, so that Kafka takes each."""
    group: dict[str, Bucket] = {}
    size = 0
    for sensor, bucket in window.buckets.items():
        sketch_size = _BUCKET_BYTES * min(len(bucket.values), 2 * MAX_BUCKETS)
        if group and size + sketch_size > MAX_SKETCHES:
            yield replace(window, buckets=group)
            group, size = {}, 0
        group[sensor] = bucket
        size += sketch_size
    yield replace(window, buckets=group)


def reduce_window(window: Window, origin: Origin) -> Partial:
    """Return the partial of everything the window holds."""
    partial = Partial(window.facility, window.start_ms, window.end_ms, origin)
    for sensor, bucket in window.buckets.items():
        values = np.array(bucket.values, dtype=np.float64)
        partial.sensors[sensor] = Summary(
            moments(values),
            sketch(values),
            {src: list(intervals) for src, intervals in bucket.sources.items()},
        )
    return partial


def moments(values: Floats) -> Moments:
    """Return the same as `Moments.of`, faster."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Moments(len(values), low, 0.0, low, high)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(values.mean())
        m2 = float(np.square(values - mean).sum())
    if not (math.isfinite(mean) and math.isfinite(m2)):
        return Moments.of(values.tolist())
    mean = min(max(mean, low), high)  # rounding may have carried it a little outside
    return Moments(len(values), mean, m2, low, high)


def sketch(values: Floats) -> Sketch:
    """Return the same as `Sketch.of`, faster."""
    positive, negative = values[values > 0], values[values < 0]
    zeros = len(values) - len(positive) - len(negative)
    return Sketch(_buckets(positive), _buckets(-negative), zeros)


def _buckets(magnitudes: Floats) -> Buckets:
    if not len(magnitudes):
        return {}
    keys = np.ceil(np.log(magnitudes) / LOG_GAMMA).astype(np.int64)
    lowest = int(keys.min())
    if int(keys.max()) - lowest < len(keys):
        counts = np.bincount(keys - lowest)
        (at,) = np.nonzero(counts)
        buckets = dict(zip((at + lowest).tolist(), counts[at].tolist(), strict=True))
    else:
        distinct, counts = np.unique(keys, return_counts=True)
        buckets = dict(zip(distinct.tolist(), counts.tolist(), strict=True))
    collapse(buckets)
    return buckets
