"""Merging partials: whatever the split, the order and the redeliveries, the plain result."""

import math
import statistics
from collections import Counter

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema.intervals import Audit
from sensorpipe_schema.sketch import Sketch
from sensorpipe_server.documents import id_range, window_id
from sensorpipe_server.merge import MAX_SKETCHES, total_sketch
from sensorpipe_server.window import absorb
from server_parts import NOW, T0, Record, batch_of, one, partial, summary

values = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))


def plain(raw):
    """Return an encoded document as MongoDB would give it back."""
    return bson.decode(raw.raw)


def parts_of(*messages):
    """Return the parts of the one window in these messages, whatever their order."""
    return [
        part
        for message in messages
        for window in batch_of(message).windows.values()
        for part in window.parts
    ]


def stored(*messages):
    """Return the document that these messages make, one at a time."""
    document = None
    for part in parts_of(*messages):
        raw = absorb(document, [part]).raw
        if raw is not None:
            document = plain(raw)
    return document


@given(st.data(), st.lists(st.lists(values, min_size=1, max_size=6), min_size=1, max_size=12))
def test_any_split_and_redelivery_gives_the_plain_result(data, groups):
    messages, seq = [], 0
    for number, group in enumerate(groups, 1):
        compactor = data.draw(st.sampled_from("ab"))
        readings = [(seq + i + 1, value) for i, value in enumerate(group)]
        seq += len(group)
        messages.append(one(readings, compactor=compactor, number=number))
    delivered = []
    for at, message in enumerate(messages):
        delivered.append(message)
        delivered += data.draw(st.lists(st.sampled_from(messages[: at + 1]), max_size=2))

    in_one = batch_of(*delivered).windows[window_id("facility_1", T0, T0 + 10_000)]
    document = stored(*delivered)

    everything = [value for group in groups for value in group]
    for made in (document, plain(in_one.raw)):
        held = made["sensors"]["temperature"]
        assert held["count"] == len(everything)
        assert held["mean"] == pytest.approx(statistics.fmean(everything), rel=1e-9, abs=1e-9)
        variance = held["m2"] / max(1, len(everything) - 1)
        exact = statistics.variance(everything) if len(everything) > 1 else 0.0
        assert math.sqrt(variance) == pytest.approx(math.sqrt(exact), rel=1e-9, abs=1e-7)
        assert (held["min"], held["max"]) == (min(everything), max(everything))
        assert total_sketch(held["sketches"]) == Sketch.of(everything)
        assert len(held["sketches"]) <= MAX_SKETCHES
        (source,) = held["sources"]
        bounds = list(zip(source["seq"][::2], source["seq"][1::2], strict=True))
        assert Audit.of(bounds) == Audit(1, seq, seq, 0, 0)


@given(st.lists(st.tuples(st.sampled_from("xy"), st.integers(1, 30)), min_size=1, max_size=30))
def test_seq_stored_twice_under_new_numbers_stay_duplicates(sent):
    messages = [
        one([(seq, 1.0)], src=src, number=number) for number, (src, seq) in enumerate(sent, 1)
    ]
    held = stored(*messages)["sensors"]["temperature"]
    counted: Counter[tuple[str, int]] = Counter()
    for source in held["sources"]:
        for first, last in zip(source["seq"][::2], source["seq"][1::2], strict=True):
            counted.update((source["src"], seq) for seq in range(first, last + 1))
    assert counted == Counter(sent)


def test_a_redelivered_partial_changes_nothing():
    first, second = one([(1, 1.0)], number=1), one([(2, 3.0)], number=2)
    document = stored(first, second)
    again = absorb(document, parts_of(second, first))
    assert (again.raw, again.merged, again.redelivered) == (None, 0, 2)


def test_a_lower_epoch_is_not_newer_however_high_its_number():
    document = stored(one([(1, 1.0)], epoch=2, number=1))
    assert absorb(document, parts_of(one([(2, 2.0)], epoch=1, number=99))).redelivered == 1


def test_interleaved_compactors_count_apart():
    messages = [
        one([(n, float(n))], src=c, compactor=c, number=n) for n in (1, 2, 3) for c in ("a", "b")
    ]
    document = stored(*messages, *messages)
    assert document["sensors"]["temperature"]["count"] == 6
    assert sorted((c["compactor"], c["number"]) for c in document["compactors"]) == [
        ("a", 3),
        ("b", 3),
    ]


def test_a_new_sensor_joins_a_stored_window():
    document = stored(
        one([(1, 1.0)], number=1), one([(1, 5.0)], sensor="humidity", number=2, src=None)
    )
    assert {name: held["count"] for name, held in document["sensors"].items()} == {
        "temperature": 1,
        "humidity": 1,
    }
    assert document["sensors"]["humidity"]["sources"] == []


def test_foreign_names_may_hold_any_character():
    src, compactor = "a.b$c\0é", "x.$y"
    document = stored(*(one([(n, 1.0)], src=src, compactor=compactor, number=n) for n in (1, 2)))
    assert document["sensors"]["temperature"]["sources"] == [{"src": src, "seq": [1, 2]}]


def test_a_partial_that_makes_the_document_too_large_is_refused_alone(monkeypatch):
    large = one([(seq, 1.0) for seq in range(1, 2001, 2)], number=2)
    first, third = one([(1, 1.0)], src="other", number=1), one([(2, 1.0)], src="o", number=3)
    monkeypatch.setattr("sensorpipe_server.window.MAX_DOCUMENT", 4000)
    batch = batch_of(first, large, third)
    (window,) = batch.windows.values()
    assert [(r.reason, r.record.offset) for r in batch.refused] == [("document_too_large", 1)]
    assert [part.record.offset for part in window.parts] == [0, 2]
    assert window.raw is not None
    assert plain(window.raw)["sensors"]["temperature"]["count"] == 2


def test_a_damaged_document_costs_only_the_partial():
    document = stored(one([(1, 1.0)], number=1))
    document["sensors"]["temperature"] = {"count": "many"}
    result = absorb(document, parts_of(one([(2, 1.0)], number=2)))
    assert [refused.reason for refused in result.refused] == ["cannot_merge"]
    assert result.raw is None


def test_a_facilitys_windows_are_one_range_of_ids():
    names = ["a", "a-b", "a0", "a_b", "ab", "b"]
    ids = sorted(
        window_id(name, T0 + n * 10_000, T0 + (n + 1) * 10_000) for name in names for n in range(3)
    )
    for name in names:
        bounds = id_range(name)
        mine = [key for key in ids if bounds["$gte"] <= key < bounds["$lt"]]
        assert mine == [key for key in ids if key.split("/")[0] == name]
    some = id_range("a", T0 + 10_000, T0 + 20_000)
    assert [key for key in ids if some["$gte"] <= key < some["$lt"]] == [
        window_id("a", T0 + 10_000, T0 + 20_000)
    ]


def test_what_is_no_partial_is_refused_with_its_reason():
    batch = batch_of(b"\xff", one([(1, 1.0)], facility="Not a name"), one([(1, 1.0)]))
    batch.add([Record(None, 3)], {}, NOW)
    assert [(r.reason, r.record.offset) for r in batch.refused] == [
        ("not_protobuf", 0),
        ("bad_facility_name", 1),
        ("no_origin", 3),
    ]
    assert len(batch.windows) == 1


def test_summaries_of_several_sensors_stay_apart():
    both = partial({"a": summary([(1, 1.0)]), "b": summary([(1, 9.0), (2, 11.0)])})
    assert both.sensors["b"].moments.mean == 10
