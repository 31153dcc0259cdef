"""Reduces and encodes many windows at once: what their small buckets hold, in one pass.

Makes the bytes that protobuf makes of each partial; only sums of values may be rounded otherwise
than with `reduce.moments`, and of several zeros the minimum may have another's sign. One by one
that takes six to eight times as long with few readings in a bucket, nearly all of it for calls
of numpy and of protobuf (docs/benchmarks.md): so what is the same for all is done for all at
once, and the messages are written here.
"""

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final

import numpy as np
from sensorpipe_schema.compacted_reading_pb2 import SensorSummary
from sensorpipe_schema.partial import Origin, Summary, fill_summary

from sensorpipe_compactor.partials.number_fields import number_fields
from sensorpipe_compactor.partials.numbers import Groups
from sensorpipe_compactor.partials.reduce import moments, sketch
from sensorpipe_compactor.partials.source_fields import source_fields
from sensorpipe_compactor.partials.wire import VARINT, text, varints
from sensorpipe_compactor.windowing.buffers import Portion, Window

LARGE: Final = 1_500
"""Readings of a bucket from which on it is reduced by itself, which is as fast then. Those of fewer
readings have no more than `MAX_BUCKETS` buckets in their sketch."""

Group = Sequence[Portion]
"""The readings of one sensor in one window, by source."""


def encode_partials(windows: Sequence[Window], first: Origin) -> list[bytes]:
    """Return the protobuf form of the partial of each window.

    `first` is the origin of the first one; the others have the numbers that follow.

    CompactedReading   0a facility  10 window_start_ms  18 window_end_ms  22 origin
                       2a sensor (each)  30 itemized
    """
    groups = [window.by_sensor() for window in windows]
    numbers = iter(_numbers([group for of_window in groups for group in of_window]))
    sources = iter(_sources(windows, groups))
    return [
        _partial(window, head, of_window, numbers, sources)
        for window, head, of_window in zip(windows, _heads(windows, first), groups, strict=True)
    ]


def _heads(windows: Sequence[Window], first: Origin) -> list[bytes]:
    """Return what each partial has before its sensors.

    Origin   0a compactor  11 run (8 bytes)  18 number  20 newest_ms
    """
    numbers = varints(np.arange(first.number, first.number + len(windows)))
    before = b"\x0a" + text(first.compactor) + b"\x11" + struct.pack("<Q", first.run) + b"\x18"
    after = b"\x20" + VARINT[first.newest_ms] if first.newest_ms else b""
    fixed_size = len(before) + len(after)
    heads = []
    for window, number in zip(windows, numbers, strict=True):
        name, times = window.facility.encode(), _times(window.start_ms, window.end_ms)
        length, size = VARINT[len(name)], VARINT[fixed_size + len(number)]
        heads.append(b"".join((b"\x0a", length, name, times, size, before, number, after)))
    return heads


@lru_cache(maxsize=64)
def _times(start_ms: int, end_ms: int) -> bytes:
    """Return the times of a window, and the tag of the origin behind them."""
    start = b"\x10" + VARINT[start_ms] if start_ms else b""
    return start + b"\x18" + VARINT[end_ms] + b"\x22"


def _partial(
    window: Window,
    head: bytes,
    groups: Sequence[Group],
    numbers: Iterator[bytes],
    sources: Iterator[bytes],
) -> bytes:
    """Return a partial with the next of the numbers and sources.

    SensorSummary   0a sensor  10 … 3a numbers  42 source (each)  4a unit
    """
    parts = [head]
    for group in groups:
        first = group[0]
        name, values = _name(first.sensor), next(numbers)
        if len(group) == 1 and first.src is not None and not first.unit:
            rest = next(sources)
        else:
            rest = _sources_and_unit(group, sources)
        parts += (b"\x2a", VARINT[len(name) + len(values) + len(rest)], name, values, rest)
    if window.itemized:
        parts.append(b"\x30\x01")
    return b"".join(parts)


def _sources_and_unit(group: Group, sources: Iterator[bytes]) -> bytes:
    fields = [next(sources) for portion in group if portion.src is not None]
    units = [portion.unit for portion in group if portion.unit]
    if units:
        fields.append(b"\x4a" + text(units[-1]))
    return b"".join(fields)


def _sources(windows: Sequence[Window], groups: Sequence[Sequence[Group]]) -> list[bytes]:
    return source_fields(
        [
            (portion, portion.src, window.itemized)
            for window, of_window in zip(windows, groups, strict=True)
            for group in of_window
            for portion in group
            if portion.src is not None
        ]
    )


@lru_cache(maxsize=4096)
def _name(sensor: str) -> bytes:
    return b"\x0a" + text(sensor)


def _numbers(groups: Sequence[Group]) -> list[bytes]:
    """Return the fields that say what the values of each group are."""
    counts = [
        len(group[0].values) if len(group) == 1 else sum([len(each.values) for each in group])
        for group in groups
    ]
    if max(counts, default=0) < LARGE:
        return _numbers_of_small(groups, counts)
    small = [group for group, count in zip(groups, counts, strict=True) if count < LARGE]
    fields = iter(_numbers_of_small(small, [count for count in counts if count < LARGE]))
    return [
        next(fields) if count < LARGE else _numbers_of_large(group)
        for group, count in zip(groups, counts, strict=True)
    ]


def _numbers_of_small(groups: Sequence[Group], counts: list[int]) -> list[bytes]:
    if not groups:
        return []
    values = chain.from_iterable([portion.values for group in groups for portion in group])
    flat = np.fromiter(values, np.float64, sum(counts))
    return number_fields(Groups(flat, np.array(counts, np.int64)))


def _numbers_of_large(group: Group) -> bytes:
    """Return the same fields from numpy and protobuf for one group."""
    held = group[0].values if len(group) == 1 else [one for each in group for one in each.values]
    values, message = np.array(held, np.float64), SensorSummary()
    fill_summary(message, "", Summary(moments(values), sketch(values)))
    return message.SerializeToString()
