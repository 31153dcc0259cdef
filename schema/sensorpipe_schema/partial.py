"""Partials, the messages between compactor and server, and their protobuf form.

Programs work with these plain classes; only this module knows the generated code.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.compacted_reading_pb2 import SensorSummary as SummaryMessage
from sensorpipe_schema.compacted_reading_pb2 import Sketch as SketchMessage
from sensorpipe_schema.compacted_reading_pb2 import Source as SourceMessage
from sensorpipe_schema.intervals import Interval
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.names import NAME_RULE, is_name
from sensorpipe_schema.reading import MAX_SEQ, MAX_SRC
from sensorpipe_schema.sketch import Buckets, Sketch

MAX_IN_FLIGHT: Final = 65_535
"""Messages a broker can have sent to one client without an acknowledgement (MQTT 5, 3.1.2.11.3)."""

REPEATABLE: Final = 8 * MAX_IN_FLIGHT
"""Messages that a broker may have in flight to us, by far: Mosquitto 2.0.11 exceeds what the
protocol allows."""

MAX_NUMBER: Final = MAX_SEQ
"""Of anything counted: the highest that MongoDB can store."""

MAX_TIME_MS: Final = 253_402_300_800_000
"""The first millisecond of the year 10000, which no date of an answer can name."""

_KEYS: Final = 0x0A
_COUNTS: Final = 0x12
"""The tags of a sketch's `positive_keys` and `positive_counts`, packed."""

_ONE_BYTE: Final = 0x7F
"""The most that one byte of protobuf says."""

_short_steps = re.compile(
    rb"([\x80-\xff]*[\x00-\x7f])[%b]*" % re.escape(bytes(range(2, _ONE_BYTE, 2)))
).fullmatch
"""Packed keys: any first one, then steps from 1 to 63, which zigzag writes as 2, 4, … 126."""


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


CheckedSource = tuple[str, list[int]]
"""A src and its intervals: `first, last, first, last, …`."""

CheckedSummary = tuple[str, int, float, float, float, float, bytes, list[CheckedSource]]
"""Sensor, count, mean, m2, minimum, maximum, sketch as `sketch_bytes` writes it, sources."""


class Checked(NamedTuple):
    """The values of a message that was checked; without summaries, a fence."""

    facility: str
    start_ms: int
    end_ms: int
    origin: Origin
    summaries: list[CheckedSummary]


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
    """Return the message itself, checked, or raise BadPartialError."""
    message = _message(data)
    _check(message)
    return message


def read(data: bytes) -> Checked:
    """Return the values of a message, checked, for whom classes are too slow, or raise as above."""
    return _check(_message(data))


def _message(data: bytes) -> CompactedReading:
    try:
        return CompactedReading.FromString(data)
    except DecodeError as error:
        raise BadPartialError("not_protobuf", str(error)) from error


def _check(message: CompactedReading) -> Checked:
    """Return the values of a message that neither contradicts itself nor the contract.

    Each field is read once: reading them takes most of the time.
    """
    made = message.origin
    origin = Origin(made.compactor, made.epoch, made.number, made.received)
    compactor, epoch, number, received = origin
    if not compactor:
        raise BadPartialError("no_origin", "the message does not say which compactor made it")
    if (
        epoch > MAX_NUMBER or number > MAX_NUMBER or received > MAX_NUMBER
    ):  # max() of the three takes twice as long, and this runs for every message
        raise BadPartialError("bad_origin", f"a number over {MAX_NUMBER} in {origin}")
    facility, start, end = message.facility, message.window_start_ms, message.window_end_ms
    entries = message.sensors[:]
    if not entries:
        return Checked(facility, start, end, origin, [])
    _check_name(facility, "bad_facility_name")
    if not 0 <= start < end < MAX_TIME_MS:
        raise BadPartialError("bad_window", "a window ends after its start, before the year 10000")
    summaries = [_check_summary(entry) for entry in entries]
    if len(summaries) > 1 and len({summary[0] for summary in summaries}) < len(summaries):
        raise BadPartialError("doubled_sensor", "a sensor appears twice")
    return Checked(facility, start, end, origin, summaries)


@lru_cache(maxsize=4096)  # the same names come again and again; of bad ones nothing is kept
def _check_name(name: str, reason: str) -> None:
    if not is_name(name):
        raise BadPartialError(reason, f"{name!r} is not {NAME_RULE}")


def _check_summary(entry: SummaryMessage) -> CheckedSummary:
    name, count, mean, m2 = entry.sensor, entry.count, entry.mean, entry.m2
    low, high, sketch = entry.min, entry.max, entry.sketch
    _check_name(name, "bad_sensor_name")
    if not 0 < count <= MAX_NUMBER or not -inf < mean < inf or not m2 >= 0:
        raise BadPartialError("bad_moments", f"{name}: no count, or moments that cannot be")
    if not -inf < low <= high < inf:
        raise BadPartialError("bad_moments", f"{name}: minimum {low}, maximum {high}")
    encoded = sketch.SerializeToString()
    if not (_plainly_holds(sketch, encoded, count) or _holds(sketch, count)):
        raise BadPartialError("bad_sketch", f"{name}: the sketch does not hold {count}")
    return name, count, mean, m2, low, high, encoded, _sources(name, entry.sources[:], count)


def _plainly_holds(sketch: SketchMessage, encoded: bytes, count: int) -> bool:
    """Whether `_holds` is certain, at half its cost: so it is where steps are short, all above 0.

    Such a sketch is its packed keys and its packed counts and nothing else, and of the keys
    each byte behind the first key is one step.
    """
    try:
        size, end = encoded[1], encoded[1] + 2
        is_plain = (
            encoded[0] == _KEYS
            and encoded[end] == _COUNTS
            and encoded[end + 1] == len(encoded) - end - 2 <= _ONE_BYTE
        )
    except IndexError:
        return False
    keys = _short_steps(encoded, 2, end) if is_plain and size <= _ONE_BYTE else None
    if keys is None:
        return False
    counts = sketch.positive_counts[:]
    return len(counts) == 1 + end - keys.end(1) and sum(counts) == count


def _holds(sketch: SketchMessage, count: int) -> bool:
    """Whether a sketch holds so many values, every key being above the one before.

    The repeated fields are read as lists, once each: that is several times as fast.
    """
    counts = sketch.positive_counts[:]
    if not _rise(sketch.positive_keys[:], counts):
        return False
    held = sketch.zeros + sum(counts)
    deltas, counts = sketch.negative_keys[:], sketch.negative_counts[:]
    if deltas or counts:
        if not _rise(deltas, counts):
            return False
        held += sum(counts)
    return held == count


def _rise(deltas: list[int], counts: list[int]) -> bool:
    """Whether each bucket has a count and, from the second on, is above the one before."""
    if len(deltas) != len(counts):
        return False
    if deltas:
        deltas[0] = 1  # the first is a key and not a distance
    return not deltas or min(deltas) > 0


def _sources(name: str, entries: Sequence[SourceMessage], count: int) -> list[CheckedSource]:
    """Return the sources of a summary, checked."""
    sources, identified = [], 0
    for source in entries:
        src, bounds = source.src, source.bounds[:]
        if not 0 < len(src) <= MAX_SRC:
            raise BadPartialError("bad_sources", f"{name}: a src of {len(src)} characters")
        identified += _held(name, bounds)
        sources.append((src, bounds))
    if len(sources) > 1 and len({src for src, _ in sources}) < len(sources):
        raise BadPartialError("bad_sources", f"{name}: a src appears twice")
    if identified > count:
        raise BadPartialError("bad_sources", f"{name}: {identified} seq for {count} readings")
    return sources


def _held(name: str, bounds: list[int]) -> int:
    """Return how many readings the intervals hold."""
    if len(bounds) == 2 and 0 < bounds[0] <= bounds[1] <= MAX_SEQ:  # noqa: PLR2004  nearly always
        return bounds[1] - bounds[0] + 1
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
