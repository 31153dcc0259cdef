import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema import partial
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.compacted_reading_pb2 import SensorSummary as SummaryMessage
from sensorpipe_schema.compacted_reading_pb2 import Sketch as SketchMessage
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.names import NAME_PATTERN
from sensorpipe_schema.partial import MAX_TIME_MS, BadPartialError, Origin, Partial, Summary
from sensorpipe_schema.reading import MAX_SEQ, MAX_SRC
from sensorpipe_schema.sketch import MAX_BUCKETS, Sketch
from support.partials import decode, read_sketch

WINDOW = 1_800_000_000_000


def a_partial() -> Partial:
    values = [21.5, -3.0, 0.0, 22.5]
    summary = Summary(Moments.of(values), Sketch.of(values), {"run-1": [(1, 2), (5, 5)]})
    return Partial(
        "facility_1", WINDOW, WINDOW + 10_000, Origin("c", 3, 7, 20), {"temperature": summary}
    )


def a_message() -> CompactedReading:
    return CompactedReading.FromString(partial.encode(a_partial()))


names = st.from_regex(NAME_PATTERN, fullmatch=True)
values = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=9, max_size=20)
srcs = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_SRC)
sources = st.dictionaries(srcs, st.integers(1, MAX_SEQ).map(lambda seq: [(seq, seq)]), max_size=9)
summaries = st.builds(
    lambda held, sources: Summary(Moments.of(held), Sketch.of(held), sources), values, sources
)
partials = st.builds(
    Partial,
    facility=names,
    window_start_ms=st.just(WINDOW),
    window_end_ms=st.integers(WINDOW + 1, WINDOW + 3_600_000),
    origin=st.builds(
        Origin,
        srcs,
        st.integers(1, MAX_SEQ),
        st.integers(0, MAX_SEQ),
        st.integers(0, MAX_TIME_MS),
    ),
    sensors=st.dictionaries(names, summaries, min_size=1, max_size=3),
)


@given(partials)
def test_a_partial_comes_back_exactly(sent):
    got = decode(partial.encode(sent))
    assert got == sent
    assert got.sensors


def test_a_fence_comes_back():
    got = decode(partial.encode(partial.fence("c", 4)))
    assert got.sensors == {}
    assert got.origin == Origin("c", 4, 0)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(Sketch.of))
def test_a_sketch_alone_comes_back_exactly(sketch):
    assert read_sketch(message_of(sketch)) == sketch


def message_of(sketch: Sketch) -> SketchMessage:
    message = SketchMessage()
    partial.fill_sketch(message, sketch)
    return message


steps = st.integers(1, 5) | st.sampled_from([-1, 0, 63, 64])
deltas = st.lists(steps, max_size=4) | st.integers(1, 140).map(lambda size: [1] * size)
often = st.sampled_from([True, True, True, False])


@given(deltas, st.integers(1, 300), often, often, often)
def test_a_sketch_is_taken_where_its_keys_rise_and_its_counts_add_up(
    keys, each, positive, matched, summed
):
    counts = [each] * len(keys) if matched else [each]
    message = a_message()
    sketch = sensor(message).sketch
    sketch.Clear()
    (sketch.positive_keys if positive else sketch.negative_keys).extend(keys)
    (sketch.positive_counts if positive else sketch.negative_counts).extend(counts)
    sensor(message).sources.clear()
    sensor(message).count = sum(counts) if summed else sum(counts) + 1
    rise = all(key > 0 for key in keys[1:]) and len(keys) == len(counts)
    if rise and summed and keys:
        assert partial.parse(message.SerializeToString()).sensors[0].sketch == sketch
    else:
        with pytest.raises(BadPartialError, match=r"bad_sketch|no count"):
            partial.parse(message.SerializeToString())


def test_a_full_sketch_stays_small():
    keys = range(-MAX_BUCKETS // 2, MAX_BUCKETS // 2)
    full = message_of(Sketch(dict.fromkeys(keys, 100)))
    assert len(full.SerializeToString()) < 5000


def sensor(message: CompactedReading):
    return message.sensors[0]


def edit_twice(message: CompactedReading) -> None:
    message.sensors.append(sensor(message))


BROKEN = {
    "no_origin": [
        lambda m: m.ClearField("origin"),
        lambda m: setattr(m.origin, "compactor", ""),
        lambda m: setattr(m.origin, "compactor", "c" * 256),
    ],
    "bad_origin": [
        lambda m: setattr(m.origin, "run", 0),
        lambda m: setattr(m.origin, "run", MAX_SEQ + 1),
        lambda m: setattr(m.origin, "number", MAX_SEQ + 1),
        lambda m: setattr(m.origin, "newest_ms", -1),
        lambda m: setattr(m.origin, "newest_ms", 2**63 - 1),
    ],
    "bad_facility_name": [
        lambda m: setattr(m, "facility", ""),
        lambda m: setattr(m, "facility", "Facility 1"),
        lambda m: setattr(m, "facility", "f" * 64),
    ],
    "bad_window": [
        lambda m: setattr(m, "window_end_ms", m.window_start_ms),
        lambda m: setattr(m, "window_end_ms", 0),
        lambda m: setattr(m, "window_start_ms", -1),
        lambda m: setattr(m, "window_end_ms", 2**63 - 1),
    ],
    "doubled_sensor": [edit_twice],
    "bad_sensor_name": [
        lambda m: setattr(sensor(m), "sensor", ""),
        lambda m: setattr(sensor(m), "sensor", "$where"),
        lambda m: setattr(sensor(m), "sensor", "a.b"),
    ],
    "bad_moments": [
        lambda m: setattr(sensor(m), "count", 0),
        lambda m: setattr(sensor(m), "count", MAX_SEQ + 1),
        lambda m: setattr(sensor(m), "mean", math.nan),
        lambda m: setattr(sensor(m), "mean", math.inf),
        lambda m: setattr(sensor(m), "m2", -1e-9),
        lambda m: setattr(sensor(m), "m2", math.nan),
        lambda m: setattr(sensor(m), "min", math.nan),
        lambda m: setattr(sensor(m), "min", -math.inf),
        lambda m: setattr(sensor(m), "max", math.inf),
        lambda m: setattr(sensor(m), "max", math.nan),
        lambda m: setattr(sensor(m), "min", sensor(m).max + 1),
    ],
    "bad_sketch": [
        lambda m: sensor(m).ClearField("sketch"),
        lambda m: setattr(sensor(m).sketch, "zeros", 2),
        lambda m: sensor(m).sketch.positive_keys.append(1),
        lambda m: sensor(m).sketch.negative_keys.append(1),
        lambda m: sensor(m).sketch.negative_counts.append(0),
        lambda m: sensor(m).sketch.positive_keys.__setitem__(-1, 0),
        lambda m: sensor(m).sketch.positive_keys.__setitem__(-1, -3),
    ],
    "bad_sources": [
        lambda m: setattr(sensor(m).sources[0], "src", ""),
        lambda m: setattr(sensor(m).sources[0], "src", "a" * (MAX_SRC + 1)),
        lambda m: sensor(m).sources[0].ClearField("bounds"),
        lambda m: sensor(m).sources[0].bounds.append(9),
        lambda m: sensor(m).sources[0].bounds.reverse(),
        lambda m: sensor(m).sources[0].bounds.__setitem__(0, 0),
        lambda m: sensor(m).sources[0].bounds.__setitem__(-1, MAX_SEQ + 1),
        lambda m: sensor(m).sources[0].bounds.__setitem__(-1, 7),
        lambda m: sensor(m).sources.append(sensor(m).sources[0]),
        lambda m: sensor(m).sources.add(src="run-2", bounds=[1, 2]),
        lambda m: sensor(m).sources[0].values.append(1.0),
        lambda m: setattr(m, "itemized", True),
    ],
}


@pytest.mark.parametrize(
    ("reason", "damage"),
    [(reason, damage) for reason, damages in BROKEN.items() for damage in damages],
)
def test_a_message_that_contradicts_itself_says_why(reason, damage):
    message = a_message()
    damage(message)
    with pytest.raises(BadPartialError) as caught:
        decode(message.SerializeToString())
    assert caught.value.reason == reason
    assert str(caught.value).startswith(f"{reason}: ")


@pytest.mark.parametrize("data", [b"\xff", b"{}", b"\x0a\x05ab", b"\x0a\x01\xff"])
def test_bytes_that_are_no_message_say_so(data):
    with pytest.raises(BadPartialError, match="not_protobuf"):
        decode(data)


def test_an_empty_message_has_no_origin():
    with pytest.raises(BadPartialError, match="no_origin"):
        decode(b"")


@given(st.binary())
def test_nothing_but_bad_partial_error_is_ever_raised(data):
    try:
        decode(data)
    except BadPartialError as error:
        assert error.reason  # noqa: PT017  either outcome is right


@given(partials, st.data())
def test_a_damaged_message_is_refused_or_still_makes_sense(sent, data):
    encoded = bytearray(partial.encode(sent))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        got = decode(bytes(encoded))
    except BadPartialError:
        return
    for summary in got.sensors.values():
        assert summary.sketch.count == summary.moments.count > 0
        assert summary.moments.min <= summary.moments.max


deltas = st.lists(st.integers(-1, 3), max_size=4)
counts = st.lists(st.integers(0, 3), max_size=4)
sketches = st.builds(
    SketchMessage,
    positive_keys=deltas,
    positive_counts=counts,
    negative_keys=st.just([]) | deltas,
    negative_counts=st.just([]) | counts,
    zeros=st.integers(0, 2),
)


@given(sketches, st.booleans(), st.integers(0, 9))
def test_a_sketch_that_holds_as_many_values_is_added_and_no_other(message, is_right, more):
    count = sum([*message.positive_counts, *message.negative_counts, message.zeros])
    count += 0 if is_right else more
    total, expected = Sketch({1: 5, 2: 1}, {1: 4}, 3), Sketch({1: 5, 2: 1}, {1: 4}, 3)
    if holds := partial.holds(message, count):
        partial.add_sketch(expected, message)
    assert partial.add_sound_sketch(total, message, count) == holds
    assert total == expected


def test_thousands_of_sparse_sources_are_not_looked_through_for_each():
    class Listed(list[str]):
        def __contains__(self, _src: object) -> bool:
            raise AssertionError("this takes seconds for 10,000 devices")

    names = ["a", "b", "c"]
    one = Summary(
        Moments.of([1.0] * 3),
        Sketch.of([1.0] * 3),
        {src: [(1, 1)] for src in names},
        sparse=Listed(["a", "c"]),
    )
    entry = SummaryMessage()
    partial.fill_summary(entry, "t", one)
    assert [source.src for source in entry.sources if source.sparse] == ["a", "c"]
