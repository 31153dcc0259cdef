"""The protobuf form of which readings of which sources a summary has."""

import struct
from collections.abc import Sequence

import numpy as np
from sensorpipe_schema.intervals import join

from sensorpipe_compactor.partials.wire import VARINT, Lists, packed_fields
from sensorpipe_compactor.windowing.buffers import Portion

Source = tuple[Portion, str, bool]
"""The readings of a source in a window, its `src`, and whether the window is itemized."""


def source_fields(sources: Sequence[Source]) -> list[bytes]:
    """Return the field of each source.

    SensorSummary   42 source
    Source          0a src  12 bounds  1a values (8 bytes each)  20 sparse
    """
    fields = []
    for (portion, src, itemized), bounds in zip(sources, _bounds(sources), strict=True):
        name = src.encode()
        rest = _rest(portion, itemized=itemized) if itemized or portion.sparse else b""
        length = VARINT[len(name)]
        size = VARINT[1 + len(length) + len(name) + len(bounds) + len(rest)]
        fields.append(b"".join((b"\x42", size, b"\x0a", length, name, bounds, rest)))
    return fields


def _bounds(sources: Sequence[Source]) -> list[bytes]:
    """Return which `seq` of each source there are."""
    bounds: list[int] = []
    counts: list[int] = []
    for portion, _, itemized in sources:
        if portion.further is None and portion.last:
            bounds += (portion.first, portion.last)
            counts.append(2)
        else:
            intervals = portion.intervals if itemized else join(portion.intervals)
            for interval in intervals:
                bounds += interval
            counts.append(2 * len(intervals))
    return packed_fields([Lists(0x12, np.array(bounds, np.int64), np.array(counts, np.int64))])


def _rest(portion: Portion, *, itemized: bool) -> bytes:
    """Return the fields that most sources do not have."""
    sparse = b"\x20\x01" if portion.sparse else b""
    if not (itemized and portion.values):
        return sparse
    values = struct.pack(f"<{len(portion.values)}d", *portion.values)
    return b"\x1a" + VARINT[len(values)] + values + sparse
