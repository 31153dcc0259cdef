"""Decodes partials into the classes that the compactor encodes; the server never needs that."""

from collections.abc import Iterable

from sensorpipe_schema.compacted_reading_pb2 import SensorSummary as SummaryMessage
from sensorpipe_schema.compacted_reading_pb2 import Sketch as SketchMessage
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.partial import Origin, Partial, Summary, pairs, parse
from sensorpipe_schema.sketch import Buckets, Sketch


def decode(data: bytes) -> Partial:
    """Return the partial in a Kafka message, checked as by `parse`."""
    message = parse(data)
    origin = message.origin
    return Partial(
        message.facility,
        message.window_start_ms,
        message.window_end_ms,
        Origin(origin.compactor, origin.run, origin.number, origin.newest_ms),
        {entry.sensor: read_summary(entry) for entry in message.sensors},
        message.itemized,
    )


def read_summary(entry: SummaryMessage) -> Summary:
    """Return the summary in a message that `parse` has checked."""
    return Summary(
        Moments(entry.count, entry.mean, entry.m2, entry.min, entry.max),
        read_sketch(entry.sketch),
        {source.src: pairs(source.bounds) for source in entry.sources},
        {source.src: source.values[:] for source in entry.sources if source.values},
    )


def read_sketch(message: SketchMessage) -> Sketch:
    """Return the sketch in a message."""
    return Sketch(
        _buckets(message.positive_keys, message.positive_counts),
        _buckets(message.negative_keys, message.negative_counts),
        message.zeros,
    )


def _buckets(deltas: Iterable[int], counts: Iterable[int]) -> Buckets:
    key = 0
    buckets: Buckets = {}
    for delta, count in zip(deltas, counts, strict=True):
        key += delta
        buckets[key] = count
    return buckets
