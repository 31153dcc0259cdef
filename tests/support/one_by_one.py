"""Partials made one by one, by protobuf: what those made many at once are compared with."""

from collections.abc import Sequence

import numpy as np
from sensorpipe_compactor.partials.reduce import moments, sketch
from sensorpipe_compactor.windowing.buffers import Portion, Window
from sensorpipe_schema import partial
from sensorpipe_schema.intervals import Interval, join
from sensorpipe_schema.partial import Origin, Partial, Summary
from support.window_parts import buckets


def encode_one_by_one(windows: Sequence[Window], first: Origin) -> list[bytes]:
    """Return what `encode_partials` is to return."""
    return [
        partial.encode(reduce_window(window, first._replace(number=first.number + place)))
        for place, window in enumerate(windows)
    ]


def reduce_window(window: Window, origin: Origin) -> Partial:
    """Return the partial of everything the window holds."""
    start, end, itemized = window.start_ms, window.end_ms, window.itemized
    made = Partial(window.facility, start, end, origin, itemized=itemized)
    for sensor, bucket in buckets(window).items():
        values = np.array(bucket.values, dtype=np.float64)
        identified = {src: each for src, each in bucket.portions.items() if src is not None}
        made.sensors[sensor] = Summary(
            moments(values),
            sketch(values),
            {src: _intervals(each, itemized=itemized) for src, each in identified.items()},
            {src: each.values for src, each in identified.items()} if itemized else {},
            [src for src, each in identified.items() if each.sparse],
            next((each.unit for each in reversed(bucket.portions.values()) if each.unit), ""),
        )
    return made


def _intervals(portion: Portion, *, itemized: bool) -> list[Interval]:
    return list(portion.intervals) if itemized else join(portion.intervals)
