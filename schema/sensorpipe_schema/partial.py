"""Partials, the messages between compactor and server, and their protobuf form."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.compacted_reading_pb2 import SensorSummary as SummaryMessage
from sensorpipe_schema.compacted_reading_pb2 import Sketch as SketchMessage
from sensorpipe_schema.compacted_reading_pb2 import Source as SourceMessage
from sensorpipe_schema.intervals import Interval
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.names import MAX_UNIT, NAME_RULE, is_name
from sensorpipe_schema.reading import MAX_SEQ, MAX_SRC
from sensorpipe_schema.sketch import Buckets, Sketch, collapse

MAX_NUMBER: Final = MAX_SEQ
"""Highest count, run and partial number: the highest integer that MongoDB can store."""

MAX_TIME_MS: Final = 253_402_300_800_000
"""First unix millisecond of the year 10000, which the API cannot write as a date."""

MAX_COMPACTOR_NAME: Final = 255
"""Largest number of characters in a compactor's name."""

_MAX_KNOWN_NAMES: Final = 4096
_known_names: Final[set[str]] = set()
"""Cache of valid names of facilities and sensors, since the same ones repeat."""


class Origin(NamedTuple):
    """The origin of a partial: `run` and `number` identify it, without an order.

    `run` is a random number for each start of a compactor. `number` counts a run's partials
    from 1; a fence has 0. `newest_ms` is the highest window end (unix milliseconds) that the
    compactor had put into partials before, in whichever run.
    """

    compactor: str
    run: int
    number: int
    newest_ms: int = 0


@dataclass(slots=True)
class Summary:
    """One sensor in one window: moments, sketch, and the `seq` it contains of each `src`."""

    moments: Moments
    sketch: Sketch
    sources: dict[str, list[Interval]] = field(default_factory=dict)
    """Intervals of `seq` by `src`, sorted; if there are values, in the order of these."""
    values: dict[str, list[float]] = field(default_factory=dict)
    """In an itemized partial, by `src`: the value of each `seq` of the intervals, in order."""
    sparse: Collection[str] = ()
    """The `src` whose `seq` do not count without gaps."""
    unit: str = ""
    """The unit of the values; empty where it is not known."""


@dataclass(slots=True)
class Partial:
    """A part of one window of one facility, from one compactor; without sensors, a fence."""

    facility: str
    window_start_ms: int
    window_end_ms: int
    origin: Origin
    sensors: dict[str, Summary] = field(default_factory=dict)
    itemized: bool = False
    """Whether its readings may be in another partial of the window as well. Each is then listed
    with its value, and counts only if its `seq` is in no other partial."""


class Checked(NamedTuple):
    """The checked fields of a message that the store needs; without sensors, a fence."""

    facility: str
    start_ms: int
    end_ms: int
    origin: Origin
    sensors: dict[str, dict[str, float]]
    """`count`, `mean`, `m2`, `min` and `max` by sensor."""
    itemized: bool
    units: Mapping[str, str] = {}
    """Units by sensor, where they are known."""


class BadPartialError(ValueError):
    """A Kafka message that is not a valid partial; `reason` is the reason of the dead letter."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def fence(compactor: str, run: int, newest_ms: int = 0) -> Partial:
    """Return the message after which no other run of a compactor counts in its partition."""
    return Partial("", 0, 0, Origin(compactor, run, 0, newest_ms))


def encode(partial: Partial) -> bytes:
    """Return the protobuf form of a partial."""
    origin = partial.origin
    message = CompactedReading(
        facility=partial.facility,
        window_start_ms=partial.window_start_ms,
        window_end_ms=partial.window_end_ms,
        itemized=partial.itemized,
    )
    message.origin.compactor = origin.compactor
    message.origin.run = origin.run
    message.origin.number = origin.number
    message.origin.newest_ms = origin.newest_ms
    for name, summary in partial.sensors.items():
        fill_summary(message.sensors.add(), name, summary)
    return message.SerializeToString()


def parse(data: bytes) -> CompactedReading:
    """Return the protobuf message after all checks, or raise BadPartialError.

    Besides the checks of `read`, sketch and sources must agree with the count.
    """
    message = _message(data)
    _check(message)
    for entry in message.sensors:
        _check_details(entry, itemized=message.itemized)
    return message


def read(data: bytes) -> Checked:
    """Return the fields that the store needs of a message, or raise BadPartialError.

    Checks what could damage other windows: names, times, counts, numbers that are not finite. A
    wrong sketch or interval affects only its own window, and is reported when that is read.
    """
    return _check(_message(data))


def _message(data: bytes) -> CompactedReading:
    try:
        return CompactedReading.FromString(data)
    except DecodeError as error:
        raise BadPartialError("not_protobuf", str(error)) from error


def _check(message: CompactedReading) -> Checked:
    """Check a message. Each field is read only once: that takes most of the time."""
    origin, entries = _origin(message), message.sensors[:]
    facility, start, end = message.facility, message.window_start_ms, message.window_end_ms
    if not entries:
        return Checked(facility, start, end, origin, {}, itemized=False)
    if facility not in _known_names:
        _learn_name(facility, "bad_facility_name")
    if not 0 <= start < end < MAX_TIME_MS:
        raise BadPartialError("bad_window", "a window ends after its start, before the year 10000")
    sensors: dict[str, dict[str, float]] = {}
    units: dict[str, str] = {}
    for entry in entries:
        name, count, mean, m2 = entry.sensor, entry.count, entry.mean, entry.m2
        low, high = entry.min, entry.max
        if name not in _known_names:
            _learn_name(name, "bad_sensor_name")
        if not (0 < count <= MAX_NUMBER and -inf < mean < inf and m2 >= 0):
            raise BadPartialError("bad_moments", f"{name}: no count, or moments that cannot be")
        if not -inf < low <= high < inf:
            raise BadPartialError("bad_moments", f"{name}: minimum {low}, maximum {high}")
        if unit := entry.unit:
            units[name] = unit[:MAX_UNIT]
        sensors[name] = {"count": count, "mean": mean, "m2": m2, "min": low, "max": high}
    if len(sensors) < len(entries):
        raise BadPartialError("doubled_sensor", "a sensor appears twice")
    return Checked(facility, start, end, origin, sensors, message.itemized, units)


def _origin(message: CompactedReading) -> Origin:
    made = message.origin
    compactor, run, number, newest_ms = made.compactor, made.run, made.number, made.newest_ms
    if not 0 < len(compactor) <= MAX_COMPACTOR_NAME:
        raise BadPartialError("no_origin", "the message does not name its compactor")
    if not 0 < run <= MAX_NUMBER or number > MAX_NUMBER or not 0 <= newest_ms <= MAX_TIME_MS:
        raise BadPartialError(
            "bad_origin", f"run {run}, number {number}, newest_ms {newest_ms}: out of range"
        )
    return Origin(compactor, run, number, newest_ms)


def _learn_name(name: str, reason: str) -> None:
    """Add a valid name to the cache, or raise BadPartialError."""
    if not is_name(name):
        raise BadPartialError(reason, f"{name!r} is not {NAME_RULE}")
    if len(_known_names) >= _MAX_KNOWN_NAMES:  # frequent ones are added again at once
        _known_names.clear()
    _known_names.add(name)


def _check_details(entry: SummaryMessage, *, itemized: bool) -> None:
    """Raise BadPartialError if the sketch or the sources of a summary are wrong."""
    name, count = entry.sensor, entry.count
    if not holds(entry.sketch, count):
        raise BadPartialError("bad_sketch", f"{name}: the sketch does not hold {count}")
    identified, seen = 0, set()
    for source in entry.sources:
        if not 0 < len(source.src) <= MAX_SRC or source.src in seen:
            raise BadPartialError("bad_sources", f"{name}: a src is empty, too long or given twice")
        seen.add(source.src)
        many = held(source, itemized=itemized)
        if many is None:
            raise BadPartialError("bad_sources", f"{name}: intervals {source.bounds[:8]}")
        identified += many
    if identified > count or (itemized and identified < count):
        raise BadPartialError("bad_sources", f"{name}: {identified} seq for {count} readings")


def holds(sketch: SketchMessage, count: int) -> bool:
    """Return whether a sketch has `count` values, and its keys ascend."""
    total = sketch.zeros
    positive, counts = sketch.positive_keys[:], sketch.positive_counts[:]
    if not _ascend(positive, counts):
        return False
    total += sum(counts)
    negative, counts = sketch.negative_keys[:], sketch.negative_counts[:]
    if negative or counts:  # rare
        if not _ascend(negative, counts):
            return False
        total += sum(counts)
    return total == count


def _ascend(deltas: Sequence[int], counts: Sequence[int]) -> bool:
    return len(deltas) == len(counts) and (len(deltas) <= 1 or min(deltas[1:]) > 0)


def held(source: SourceMessage, *, itemized: bool) -> int | None:
    """Return the number of readings in the intervals of a source; None if they are wrong."""
    bounds = source.bounds[:]
    if len(bounds) % 2 or not bounds or min(bounds) <= 0 or max(bounds) > MAX_SEQ:
        return None
    firsts, lasts = bounds[::2], bounds[1::2]
    if any(first > last for first, last in zip(firsts, lasts, strict=True)):
        return None
    if not itemized and bounds != sorted(bounds):
        return None
    many = sum(lasts) - sum(firsts) + len(lasts)
    return many if len(source.values) == (many if itemized else 0) else None


def fill_summary(entry: SummaryMessage, name: str, summary: Summary) -> None:
    """Write the summary of sensor `name` into a message."""
    moments = summary.moments
    entry.sensor = name
    entry.count = moments.count
    entry.mean = moments.mean
    entry.m2 = moments.m2
    entry.min = moments.min
    entry.max = moments.max
    entry.unit = summary.unit
    fill_sketch(entry.sketch, summary.sketch)
    sparse_sources = frozenset(summary.sparse)  # there may be thousands
    for src, intervals in summary.sources.items():
        bounds = [bound for pair in intervals for bound in pair]
        values, sparse = summary.values.get(src), src in sparse_sources
        entry.sources.add(src=src, bounds=bounds, values=values, sparse=sparse)


def fill_sketch(message: SketchMessage, sketch: Sketch) -> None:
    """Write a sketch into a message, with sorted, delta-encoded keys."""
    message.zeros = sketch.zeros
    _fill_buckets(message.positive_keys, message.positive_counts, sketch.positive)
    _fill_buckets(message.negative_keys, message.negative_counts, sketch.negative)


def add_sketch(total: Sketch, message: SketchMessage) -> None:
    """Add the counts of the sketch in a message to `total`."""
    _add_buckets(total.positive, message.positive_keys[:], message.positive_counts[:])
    if message.negative_keys:
        _add_buckets(total.negative, message.negative_keys[:], message.negative_counts[:])
    total.zeros += message.zeros


def add_sound_sketch(total: Sketch, message: SketchMessage, count: int) -> bool:
    """Add the sketch in a message if it holds so many values, as `holds`; return whether it does.

    Reads each field once: that takes most of the time.
    """
    if message.negative_keys or message.negative_counts:  # rare
        if not holds(message, count):
            return False
        add_sketch(total, message)
        return True
    deltas, counts, zeros = message.positive_keys[:], message.positive_counts[:], message.zeros
    if sum(counts) + zeros != count or not _ascend(deltas, counts):
        return False
    _add_buckets(total.positive, deltas, counts)
    total.zeros += zeros
    return True


def pairs(bounds: Sequence[int]) -> list[Interval]:
    """Return `first, last, first, last, …` as intervals."""
    return list(zip(bounds[::2], bounds[1::2], strict=True))


def _fill_buckets(keys: Any, counts: Any, buckets: Buckets) -> None:
    ordered = sorted(buckets)
    keys.extend(key - before for key, before in zip(ordered, [0, *ordered], strict=False))
    counts.extend(map(buckets.__getitem__, ordered))


def _add_buckets(buckets: Buckets, deltas: Sequence[int], counts: Sequence[int]) -> None:
    get = buckets.get
    for key, count in zip(accumulate(deltas), counts, strict=True):
        buckets[key] = get(key, 0) + count
    collapse(buckets)
