"""A window is the fold of its partials: any order, any repetition, each reading once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema.intervals import IntervalSet, join
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.partial import Origin, Partial, Summary, encode, read
from sensorpipe_schema.sketch import Sketch
from sensorpipe_server.storage.documents import WindowKey, document, read_id
from sensorpipe_server.storage.fold import Window, fold, fold_only, folded
from sensorpipe_server.storage.summaries import add_sketches, intervals_of, moments_of

KEY = WindowKey("hall_1", 1_700_000_000_000, 10_000)
NOW = datetime(2026, 1, 1, tzinfo=UTC)

Readings = Sequence[tuple[str, int]]
"""`(src, seq)`; the value of a reading follows from both."""


def value_of(src: str, seq: int) -> float:
    """Return the only value that a reading can have, so that sums are exact."""
    return float(len(src) * 1000 + seq)


def stored(number: int, readings: Readings, *, itemized: bool = False) -> dict[str, Any]:
    """Return the document of a partial with these readings of one sensor."""
    values = [value_of(src, seq) for src, seq in readings]
    summary = Summary(Moments.of(values), Sketch.of(values))
    for src, seq in readings:
        summary.sources.setdefault(src, []).append((seq, seq))
        if itemized:
            summary.values.setdefault(src, []).append(value_of(src, seq))
    if not itemized:
        summary.sources = {src: join(some) for src, some in summary.sources.items()}
    origin = Origin("c", 7, number, KEY.end_ms)
    partial = Partial(KEY.facility, KEY.start_ms, KEY.end_ms, origin, {"t": summary}, itemized)
    data = encode(partial)
    return document(read(data), data, NOW)


def seqs_of(window: Window) -> dict[str, list[tuple[int, int]]]:
    """Return the intervals of a window's only sensor by source."""
    found: dict[str, list[tuple[int, int]]] = {}
    for summary in window.sensors["t"]:
        for source in summary.sources:
            found.setdefault(source.src, []).extend(intervals_of(source) or ())
    return {src: join(some) for src, some in found.items()}


def test_a_document_has_the_partial_and_what_people_ask_for():
    made = stored(3, [("a", 1), ("a", 2)])
    assert made["_id"] == "hall_1/001700000000000/10000/0000000000000007/3"
    assert made["sensors"] == {"t": {"count": 2, "mean": 1001.5, "m2": 0.5, "min": 1001.0,
                                     "max": 1002.0}}  # fmt: skip
    assert "itemized" not in made
    assert read_id(made["_id"]) == (KEY, 7, 3)


def test_certain_partials_are_merged_and_what_both_hold_is_twice():
    window = fold(KEY, [stored(1, [("a", 1), ("a", 2)]), stored(2, [("a", 2), ("a", 3)])])
    assert window is not None
    assert moments_of(window.sensors["t"]).count == 4
    assert seqs_of(window) == {"a": [(1, 2), (2, 3)]}


def test_an_itemized_reading_counts_where_no_other_partial_holds_it():
    held = stored(1, [("a", 1), ("a", 2)])
    unsure = stored(2, [("a", 2), ("a", 3), ("b", 1)], itemized=True)
    window = fold(KEY, [unsure, held])
    assert window is not None
    assert seqs_of(window) == {"a": [(1, 3)], "b": [(1, 1)]}
    assert moments_of(window.sensors["t"]) == Moments.of([1001.0, 1002.0]).merge(
        Moments.of([1003.0, 1001.0])
    )


def test_a_window_whose_itemized_readings_are_all_held_has_them_once():
    window = fold(KEY, [stored(1, [("a", 1)]), stored(2, [("a", 1)], itemized=True)])
    assert window is not None
    assert moments_of(window.sensors["t"]).count == 1


@st.composite
def sets_of_partials(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return partials: each reading in one certain one at most, and in any itemized ones."""
    readings = draw(
        st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 12)), unique=True, min_size=1)
    )
    made, number = [], 0
    while readings:
        size = draw(st.integers(1, len(readings)))
        number += 1
        made.append(stored(number, readings[:size], itemized=draw(st.booleans())))
        if draw(st.booleans()):
            number += 1
            made.append(stored(number, readings[:size], itemized=True))
        readings = readings[size:]
    return made


@given(documents=sets_of_partials(), data=st.data())
def test_any_order_and_any_repetition_fold_to_the_same_window(
    documents: list[dict[str, Any]], data: st.DataObject
):
    again = data.draw(st.lists(st.sampled_from(documents)))
    shuffled = data.draw(st.permutations([*documents, *again]))
    one, other = fold(KEY, documents), fold(KEY, shuffled)
    assert one == other
    assert one is not None
    readings = {
        (source.src, seq)
        for each in documents
        for summary in (fold(KEY, [each]) or one).sensors["t"]
        for source in summary.sources
        for seq in seqs(intervals_of(source) or [])
    }
    exact = Moments.of([value_of(src, seq) for src, seq in readings])
    found = moments_of(one.sensors["t"])
    assert (found.count, found.min, found.max) == (exact.count, exact.min, exact.max)
    total = Sketch()
    assert add_sketches(one.sensors["t"], total) == 0
    assert total == Sketch.of(value_of(src, seq) for src, seq in readings)
    assert seqs_of(one) == {
        src: list(IntervalSet((seq, seq) for s, seq in readings if s == src))
        for src in {src for src, _ in readings}
    }


def seqs(intervals: Sequence[tuple[int, int]]) -> list[int]:
    """Return every seq of some intervals."""
    return [seq for first, last in intervals for seq in range(first, last + 1)]


def test_documents_in_order_fall_into_windows_and_what_is_none_of_ours_is_left_out():
    one = stored(1, [("a", 1)])
    broken = {**stored(2, [("a", 2)]), "partial": b"\xff"}
    (window,) = folded([one, broken])
    assert (window.key, window.unreadable) == (KEY, 1)
    assert moments_of(window.sensors["t"]).count == 1
    assert list(folded([one], sensors=["other"])) == []


@pytest.mark.parametrize("wrong", ["2026-01-01T00:00:00Z", 1_700_000_000, None])
def test_a_document_whose_time_of_storing_is_no_date_is_unreadable(wrong: object):
    one, other = stored(1, [("a", 1)]), {**stored(2, [("a", 2)]), "received_at": wrong}
    assert fold_only(KEY, other) is None
    window = fold(KEY, [one, other])
    assert window is not None
    assert (window.received_at, window.unreadable) == (one["received_at"], 1)
