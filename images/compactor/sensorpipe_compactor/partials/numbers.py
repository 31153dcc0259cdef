"""Moments and sketches of many groups of values in one pass.

So all groups share what a call of numpy costs. A group has the values of one bucket.
"""

from typing import Final, NamedTuple

import numpy as np

from sensorpipe_compactor.partials.reduce import Floats, Ints, keys_of, moments

_SPARSE: Final = 16
"""Possible keys for each value from which on sorting them is faster than a counter for each."""


class Groups(NamedTuple):
    """Finite values, one group after the other; none is empty."""

    values: Floats
    counts: Ints
    """Number of values of each group."""


class Buckets(NamedTuple):
    """The buckets of many sketches, of one sign, one sketch after the other."""

    keys: Ints
    """Ascending within a sketch."""
    counts: Ints
    """Number of values of each bucket."""
    sizes: Ints
    """Number of buckets of each sketch."""


class Sketches(NamedTuple):
    """One sketch for each group."""

    positive: Buckets
    negative: Buckets
    zeros: Ints


def moments_of(groups: Groups) -> Floats:
    """Return mean, m2, minimum and maximum of each group, a row each.

    They are those of `reduce.moments`, but sums may be rounded otherwise.
    """
    values, counts = groups
    starts = counts.cumsum() - counts
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.add.reduceat(values, starts) / counts
        m2 = np.add.reduceat(np.square(values - np.repeat(mean, counts)), starts)
    constant = low == high
    finite = np.isfinite(mean) & np.isfinite(m2)
    mean = np.where(mean < low, low, np.where(mean > high, high, mean))  # clip() makes 0 of -0
    rows = np.stack((mean, m2, low, high), axis=1)
    rows[constant, 0], rows[constant, 1] = low[constant], 0.0
    for at in np.nonzero(~(finite | constant))[0].tolist():
        exact = moments(values[starts[at] : starts[at] + counts[at]])
        rows[at, :2] = exact.mean, exact.m2
    return rows


def sketches_of(groups: Groups) -> Sketches:
    """Return the sketch of each group, which must have at most MAX_BUCKETS values."""
    values, counts = groups
    is_positive = values > 0
    if is_positive.all():
        none = np.zeros(len(counts), np.int64)
        return Sketches(_buckets(values, counts), Buckets(none[:0], none[:0], none), none)
    is_negative = values < 0
    starts = counts.cumsum() - counts
    positive = np.add.reduceat(is_positive, starts, dtype=np.int64)
    negative = np.add.reduceat(is_negative, starts, dtype=np.int64)
    return Sketches(
        _buckets(values[is_positive], positive),
        _buckets(-values[is_negative], negative),
        counts - positive - negative,
    )


def _buckets(magnitudes: Floats, counts: Ints) -> Buckets:
    """Count the magnitudes of each group by key; here a group may be empty."""
    sizes = np.zeros(len(counts), np.int64)
    keys = keys_of(magnitudes)
    if not len(keys):
        return Buckets(keys, keys, sizes)
    (filled,) = np.nonzero(counts)
    counts = counts[filled]
    starts = counts.cumsum() - counts
    lowest = np.minimum.reduceat(keys, starts)
    spans = np.maximum.reduceat(keys, starts) - lowest + 1
    ends = spans.cumsum()
    shifts = ends - spans - lowest  # gives the keys of each group places of their own
    places = keys + np.repeat(shifts, counts)
    if ends[-1] <= _SPARSE * len(places):
        count_by_place = np.bincount(places)
        (taken,) = np.nonzero(count_by_place)
        found = count_by_place[taken]
    else:
        taken, found = np.unique(places, return_counts=True)
    sizes[filled] = np.diff(np.searchsorted(taken, ends), prepend=0)
    return Buckets(taken - np.repeat(shifts, sizes[filled]), found, sizes)
