"""Partials, the messages between compactor and server, and their protobuf form.

Programs work with these plain classes; only this module knows the generated code.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.compacted_reading_pb2 import SensorSummary as SummaryMessage
from sensorpipe_schema.compacted_reading_pb2 import Sketch as SketchMessage
from sensorpipe_schema.intervals import Interval
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.names import NAME_RULE, is_name
from sensorpipe_schema.reading import MAX_SEQ, MAX_SRC
from sensorpipe_schema.sketch import Buckets, Sketch

MAX_IN_FLIGHT: Final = 65_535
"""Messages a broker can have sent to one client without an acknowledgement (MQTT 5, 3.1.2.11.3)."""


MAX_NUMBER: Final = MAX_SEQ
"""Of anything counted: the highest that MongoDB can store."""

MAX_TIME_MS: Final = 253_402_300_800_000
"""The first millisecond of the year 10000, which no date of an answer can name."""


class Origin(NamedTuple):
    """Who made a partial; `(epoch, number)` orders the partials of one compactor."""

    compactor: str
    epoch: int
    number: int
    received: int = 0


@dataclass(slots=True)
class Summary:
    """One sensor in one window: moments, sketch, and which `seq` of which `src` it holds."""

    moments: Moments
    sketch: Sketch
    sources: dict[str, list[Interval]] = field(default_factory=dict)


@dataclass(slots=True)
class Partial:
    """What one compactor knows about one facility and window; without sensors, a fence."""

    facility: str
    window_start_ms: int
    window_end_ms: int
    origin: Origin
    sensors: dict[str, Summary] = field(default_factory=dict)

    @property
    def is_fence(self) -> bool:
        """Whether this only says that a new epoch of its compactor began."""
        return not self.sensors


class BadPartialError(ValueError):
    """A Kafka message that is no partial; `reason` is the dead letter's reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def fence(compactor: str, epoch: int) -> Partial:
    """Return the message that shuts out all lower epochs of a compactor."""
    return Partial("", 0, 0, Origin(compactor, epoch, 0))


def encode(partial: Partial) -> bytes:
    """Return the protobuf form of a partial."""
    message = CompactedReading(
        facility=partial.facility,
        window_start_ms=partial.window_start_ms,
        window_end_ms=partial.window_end_ms,
    )
    origin = partial.origin
    message.origin.compactor = origin.compactor
    message.origin.epoch = origin.epoch
    message.origin.number = origin.number
    message.origin.received = origin.received
    for name, summary in partial.sensors.items():
        _fill(message.sensors.add(), name, summary)
    return message.SerializeToString()


def decode(data: bytes) -> Partial:
    """Return the partial in a Kafka message, checked, or raise BadPartialError."""
    message = parse(data)
    origin = message.origin
    return Partial(
        message.facility,
        message.window_start_ms,
        message.window_end_ms,
        Origin(origin.compactor, origin.epoch, origin.number, origin.received),
        {entry.sensor: _summary(entry) for entry in message.sensors},
    )


def parse(data: bytes) -> CompactedReading:
    """Return the message itself, checked, for whom plain classes are too slow."""
    try:
        message = CompactedReading.FromString(data)
    except DecodeError as error:
        raise BadPartialError("not_protobuf", str(error)) from error
    check(message)
    return message


def check(message: CompactedReading) -> None:
    """Raise BadPartialError where a message contradicts itself or the contract."""
    origin = message.origin
    if not origin.compactor:
        raise BadPartialError("no_origin", "the message does not say which compactor made it")
    if (
        origin.epoch > MAX_NUMBER or origin.number > MAX_NUMBER or origin.received > MAX_NUMBER
    ):  # max() of the three takes twice as long, and this runs for every message
        raise BadPartialError("bad_origin", f"a number over {MAX_NUMBER} in {origin}")
    if not message.sensors:
        return
    if not is_name(message.facility):
        raise BadPartialError("bad_facility_name", f"{message.facility!r} is not {NAME_RULE}")
    if not 0 <= message.window_start_ms < message.window_end_ms < MAX_TIME_MS:
        raise BadPartialError("bad_window", "a window ends after its start, before the year 10000")
    names = set()
    for entry in message.sensors:
        name = entry.sensor
        if name in names:
            raise BadPartialError("doubled_sensor", f"sensor {name} appears twice")
        names.add(name)
        _check_summary(name, entry)


def _check_summary(name: str, entry: SummaryMessage) -> None:
    if not is_name(name):
        raise BadPartialError("bad_sensor_name", f"{name!r} is not {NAME_RULE}")
    count, low, high = entry.count, entry.min, entry.max
    if not 0 < count <= MAX_NUMBER or not math.isfinite(entry.mean) or not entry.m2 >= 0:
        raise BadPartialError("bad_moments", f"{name}: no count, or moments that cannot be")
    if not -math.inf < low <= high < math.inf:
        raise BadPartialError("bad_moments", f"{name}: minimum {low}, maximum {high}")
    if not _holds(entry.sketch, count):
        raise BadPartialError("bad_sketch", f"{name}: the sketch does not hold {count}")
    identified = 0
    sources = set()
    for source in entry.sources:
        src = source.src
        if not 0 < len(src) <= MAX_SRC:
            raise BadPartialError("bad_sources", f"{name}: a src of {len(src)} characters")
        if src in sources:
            raise BadPartialError("bad_sources", f"{name}: a src appears twice")
        sources.add(src)
        identified += _check_bounds(name, source.bounds[:])
    if identified > count:
        raise BadPartialError("bad_sources", f"{name}: {identified} seq for {count} readings")


def _holds(sketch: SketchMessage, count: int) -> bool:
    """Whether a sketch holds so many values, every key being above the one before.

    The repeated fields are read as lists, once each: that is several times as fast.
    """
    held = sketch.zeros
    for deltas, counts in (
        (sketch.positive_keys[:], sketch.positive_counts[:]),
        (sketch.negative_keys[:], sketch.negative_counts[:]),
    ):
        if len(deltas) != len(counts) or (len(deltas) > 1 and min(deltas[1:]) <= 0):
            return False
        held += sum(counts)
    return held == count


def _check_bounds(name: str, bounds: list[int]) -> int:
    """Return how many readings the intervals hold."""
    held = sum(bounds[1::2]) - sum(bounds[::2]) + len(bounds) // 2
    if (
        len(bounds) % 2
        or bounds != sorted(bounds)
        or not (bounds and bounds[0] > 0 and bounds[-1] <= MAX_SEQ)
    ):
        raise BadPartialError("bad_sources", f"{name}: intervals {bounds[:8]}")
    return held


def _fill(entry: SummaryMessage, name: str, summary: Summary) -> None:
    moments = summary.moments
    entry.sensor = name
    entry.count = moments.count
    entry.mean = moments.mean
    entry.m2 = moments.m2
    entry.min = moments.min
    entry.max = moments.max
    fill_sketch(entry.sketch, summary.sketch)
    for src, intervals in summary.sources.items():
        entry.sources.add(src=src, bounds=[bound for pair in intervals for bound in pair])


def _summary(entry: SummaryMessage) -> Summary:
    return Summary(
        Moments(entry.count, entry.mean, entry.m2, entry.min, entry.max),
        read_sketch(entry.sketch),
        {source.src: pairs(source.bounds) for source in entry.sources},
    )


def fill_sketch(message: SketchMessage, sketch: Sketch) -> None:
    """Write a sketch into a message: sorted keys, delta-encoded."""
    message.zeros = sketch.zeros
    _fill_buckets(message.positive_keys, message.positive_counts, sketch.positive)
    _fill_buckets(message.negative_keys, message.negative_counts, sketch.negative)


def read_sketch(message: SketchMessage) -> Sketch:
    """Return the sketch in a message."""
    return Sketch(
        _buckets(message.positive_keys, message.positive_counts),
        _buckets(message.negative_keys, message.negative_counts),
        message.zeros,
    )


def sketch_bytes(sketch: Sketch) -> bytes:
    """Return a sketch alone in its protobuf form, as it is stored."""
    message = SketchMessage()
    fill_sketch(message, sketch)
    return message.SerializeToString()


def sketch_of_bytes(data: bytes) -> Sketch:
    """Return the sketch that `sketch_bytes` wrote."""
    return read_sketch(SketchMessage.FromString(data))


def pairs(bounds: Sequence[int]) -> list[Interval]:
    """Return `first, last, first, last, …` as intervals."""
    return list(zip(bounds[::2], bounds[1::2], strict=True))


def _fill_buckets(keys: Any, counts: Any, buckets: Buckets) -> None:
    ordered = sorted(buckets)
    keys.extend(key - before for key, before in zip(ordered, [0, *ordered], strict=False))
    counts.extend(map(buckets.__getitem__, ordered))


def _buckets(deltas: Iterable[int], counts: Iterable[int]) -> Buckets:
    key = 0
    buckets: Buckets = {}
    for delta, count in zip(deltas, counts, strict=True):
        key += delta
        buckets[key] = count
    return buckets
