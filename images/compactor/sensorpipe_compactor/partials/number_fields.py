"""The protobuf form of what a summary says of its values."""

from typing import Final

import numpy as np

from sensorpipe_compactor.partials.numbers import Buckets, Groups, moments_of, sketches_of
from sensorpipe_compactor.partials.reduce import Floats
from sensorpipe_compactor.partials.wire import VARINT, Lists, cut, packed_fields

_DOUBLE_TAGS: Final = np.array((0x19, 0x21, 0x29, 0x31), np.uint8)


def number_fields(groups: Groups) -> list[bytes]:
    """Return the fields of each group, one after the other.

    SensorSummary   10 count  19 mean  21 m2  29 min  31 max (8 bytes each)  3a sketch
    """
    counts = groups.counts.tolist()
    doubles, sketches = _doubles(moments_of(groups)), _sketches(groups)
    return [
        b"".join((b"\x10", VARINT[count], moments, b"\x3a", VARINT[len(sketch)], sketch))
        for count, moments, sketch in zip(counts, doubles, sketches, strict=True)
    ]


def _doubles(rows: Floats) -> list[bytes]:
    fields = np.empty((len(rows), 4, 9), np.uint8)
    fields[:, :, 0] = _DOUBLE_TAGS
    fields[:, :, 1:] = rows.astype("<f8").view(np.uint8).reshape(-1, 4, 8)
    is_set = rows.view(np.int64) != 0  # -0.0 is set
    return cut(fields[is_set], 9 * is_set.sum(axis=1).cumsum())


def _sketches(groups: Groups) -> list[bytes]:
    """Return the sketch of each group.

    Sketch   0a positive_keys  12 positive_counts  1a negative_keys  22 negative_counts  28 zeros
    """
    positive, negative, zeros = sketches_of(groups)
    fields = _lists(0x0A, 0x12, positive)
    if len(negative.keys):
        fields += _lists(0x1A, 0x22, negative)
    sketches = packed_fields(fields)
    if zeros.any():
        for place, count in enumerate(zeros.tolist()):
            sketches[place] += b"\x28" + VARINT[count] if count else b""
    return sketches


def _lists(keys_tag: int, counts_tag: int, buckets: Buckets) -> list[Lists]:
    """Return both lists of each sketch: keys are the first one, then differences, as zigzag."""
    keys, counts, sizes = buckets
    deltas = np.diff(keys, prepend=0)
    firsts = (sizes.cumsum() - sizes)[sizes > 0]
    deltas[firsts] = keys[firsts]
    zigzag = deltas << 1 ^ deltas >> 63
    return [Lists(keys_tag, zigzag, sizes), Lists(counts_tag, counts, sizes)]
