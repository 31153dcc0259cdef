"""Moments and sketch of the values of a sensor in a window, with numpy."""

import math
from typing import Any

import numpy as np
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.sketch import LOG_GAMMA, Buckets, Sketch, collapse

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


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


def keys_of(magnitudes: Floats) -> Ints:
    """Return the bucket of each positive value, as `Sketch.add` does."""
    keys: Ints = np.ceil(np.log(magnitudes) / LOG_GAMMA).astype(np.int64)
    return keys


def _buckets(magnitudes: Floats) -> Buckets:
    if not len(magnitudes):
        return {}
    keys = keys_of(magnitudes)
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
