"""Sources whose gaps mean nothing: their `seq` tell the readings of a window apart, no more."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading, SensorSummary, Source
from sensorpipe_schema.intervals import IntervalSet
from sensorpipe_schema.partial import encode, read
from sensorpipe_server.api.integrity import IntegrityScan
from sensorpipe_server.api.openapi.answers import SetAside
from sensorpipe_server.audit.facility_history import HORIZON_MS, History, Scan
from sensorpipe_server.storage.documents import Document, WindowKey, document
from sensorpipe_server.storage.fold import fold
from sensorpipe_server.storage.queries import WindowBatch
from sensorpipe_server.storage.reads.reading import Span
from sensorpipe_server.storage.rollups.folding import folding
from sensorpipe_server.storage.rollups.levels import FIVE_MINUTES
from sensorpipe_server.storage.rollups.totals import Total, rollup_of_windows
from sensorpipe_server.storage.source_seqs import Settling
from sensorpipe_server.storage.summaries import (
    moments_of,
    only_interval,
    sources_of,
    sparse_counts,
)
from support.server_parts import NOW, T0, partial, summary

KEY = WindowKey("facility_1", T0, 10_000)


def stored(seqs: list[int], number: int, *, itemized: bool = False) -> Document:
    """Return the document of a partial of such a source, whose values are its `seq`."""
    one = summary([(seq, float(seq)) for seq in seqs], "device")
    one.sparse = ["device"]
    if itemized:
        one.values = {"device": [float(seq) for seq in sorted(seqs)]}
    made = partial({"temperature": one, "humidity": summary([(number, 1.0)])}, number=number)
    if itemized:
        made = replace(made, sensors={"temperature": one}, itemized=True)
    data = encode(made)
    return document(read(data), data, NOW)


def counted(*documents: Document) -> tuple[int, float]:
    """Return number and highest value of the window's readings of the sensor."""
    window = fold(KEY, documents)
    assert window is not None
    moments = moments_of(window.sensors["temperature"])
    return moments.count, moments.max


def test_a_reading_in_two_partials_counts_once() -> None:
    assert counted(stored([100, 500], 1), stored([500, 900], 2, itemized=True)) == (3, 900)


def test_and_so_it_does_once_the_partials_are_put_together() -> None:
    parts = [stored([100 * n, 100 * n + 7], n) for n in range(1, 5)]
    found = folding(KEY, parts).written
    assert found is not None
    late = stored([107, 400, 999], 9, itemized=True)
    assert counted(found, late) == counted(*parts, late) == (9, 999)
    (temperature,) = (
        each
        for each in CompactedReading.FromString(found["partial"]).sensors
        if each.sensor == "temperature"
    )
    assert [(source.src, source.sparse) for source in temperature.sources] == [("device", True)]


def test_nothing_is_lost_between_its_numbers() -> None:
    window = fold(KEY, [stored([100, 500], 1), stored([900], 2, itemized=True)])
    assert window is not None
    for each in window.sensors["temperature"]:
        assert sources_of(each) == ([], 0, True)
        assert only_interval(each) is None
    assert sparse_counts(window.sensors["temperature"]) == ({"device": (3, 0)}, 0)


def test_a_rollup_has_numbers_in_place_of_seqs_that_would_not_fit_a_day() -> None:
    window = fold(KEY, [stored([100, 500, 501], 1), stored([500, 501, 900], 2)])
    assert window is not None
    rollup = rollup_of_windows([window, window])
    (humidity, temperature) = (entry.summary for entry in rollup.sensors)
    assert not any(source.sparse for source in humidity.sources)
    assert [(one.src, one.count, one.duplicates) for one in temperature.sources] == [
        ("device", 12, 4)
    ]
    assert not temperature.sources[0].bounds
    total = Total()
    for _ in range(2):
        total.add_rollup(rollup)
    assert total.rollup().sensors[1].summary.sources[0] == Source(
        src="device", sparse=True, count=24, duplicates=8
    )
    assert total.unreadable == 0


def test_a_folded_window_has_their_seqs_and_counts_the_same() -> None:
    parts = [stored([100 * n, 100 * n + 7], n) for n in (1, 1, 2, 3, 4)]
    for at, one in enumerate(parts):
        one["_id"] = one["_id"].rpartition("/")[0] + f"/{at + 1}"
    found = folding(KEY, parts).written
    assert found is not None
    before, after = fold(KEY, parts), fold(KEY, [found])
    assert before is not None
    assert after is not None
    counts = ({"device": (10, 2)}, 0)
    assert sparse_counts(before.sensors["temperature"]) == counts
    assert sparse_counts(after.sensors["temperature"]) == counts


def wrong(**fields: object) -> SensorSummary:
    """Return a summary of 5 readings with one right and one wrong source."""
    made = SensorSummary(sensor="temperature", count=5)
    made.sources.add(src="right", sparse=True, bounds=[7, 8])
    made.sources.add(src="wrong", sparse=True, **fields)
    return made


@pytest.mark.parametrize(
    "fields",
    [
        {"bounds": [5, 4]},
        {"bounds": [5]},
        {"bounds": []},
        {"bounds": [5, 6], "count": 2},
        {"count": 2, "duplicates": 2},
    ],
)
def test_a_source_that_cannot_be_is_left_out_and_counted(fields: dict[str, object]) -> None:
    assert sparse_counts([wrong(**fields)]) == ({"right": (2, 0)}, 1)


@pytest.mark.parametrize("fields", [{"bounds": [1, 4]}, {"count": 4}])
def test_more_readings_than_there_are_make_all_of_them_wrong(fields: dict[str, object]) -> None:
    assert sparse_counts([wrong(**fields)]) == ({}, 2)


@given(st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=8, unique=True), max_size=5))
def test_duplicates_are_all_copies_but_the_first(groups: list[list[int]]) -> None:
    summaries = []
    for group in groups:
        made = SensorSummary(sensor="temperature", count=len(group))
        bounds = [bound for pair in IntervalSet((n, n) for n in group) for bound in pair]
        made.sources.add(src="device", sparse=True, bounds=bounds)
        summaries.append(made)
    everything = [n for group in groups for n in group]
    expected = {"device": (len(everything), len(everything) - len(set(everything)))}
    assert sparse_counts(summaries) == (expected if groups else {}, 0)


def test_integrity_has_a_line_for_it_without_what_gaps_would_say() -> None:
    """Of windows and of a rollup alike; a native source beside it is what it was."""
    window = fold(KEY, [stored([100, 500], 1), stored([500, 900], 2)])
    assert window is not None
    scan = IntegrityScan(Settling(), {"facility_1": 10_000}, NOW.timestamp() + 60)
    scan.take_windows(WindowBatch([window], 0))
    span = Span("facility_1", T0, T0 + 300_000)
    assert scan.take_rollup(span, FIVE_MINUTES, rollup_of_windows([window]), finest=True)
    answer = scan.report({}, SetAside(0, 0, 0))
    lines = msgspec.json.decode(msgspec.json.encode(answer))["data"]
    assert lines[1] == {
        "facility": "facility_1", "sensor": "temperature", "src": "device", "first": None,
        "last": None, "count": 8, "lost": None, "pending": 0, "duplicates": 2, "removed": 0,
    }  # fmt: skip
    assert (lines[0]["sensor"], lines[0]["lost"]) == ("humidity", 0)
    totals = answer.totals
    assert (totals.count, totals.duplicates, totals.lost) == (12, 4, 0)
    assert (totals.sources, totals.unidentified, totals.unreadable) == (2, 0, 0)


def test_a_name_that_stands_for_a_device_and_for_a_run_has_two_lines() -> None:
    native = partial({"temperature": summary([(1, 1.0), (2, 1.0)], "device")}, number=2)
    data = encode(native)
    window = fold(KEY, [stored([100, 500, 900], 1), document(read(data), data, NOW)])
    assert window is not None
    scan = IntegrityScan(Settling(), {"facility_1": 10_000}, NOW.timestamp() + 60)
    scan.take_windows(WindowBatch([window], 0))
    answer = scan.report({}, SetAside(0, 0, 0))
    lines = msgspec.json.decode(msgspec.json.encode(answer))["data"]
    found = [(each["count"], each["lost"]) for each in lines if each["src"] == "device"]
    assert found == [(2, 0), (3, None)]
    assert (answer.totals.count, answer.totals.sources) == (6, 3)


def test_the_audit_sees_its_duplicates_once_and_nothing_lost() -> None:
    window = fold(KEY, [stored([100, 500], 1), stored([100, 500, 900], 2)])
    assert window is not None
    now = NOW.timestamp() + 60
    history = History(T0)
    scan = Scan(T0, Settling(), now)
    scan.add([window])
    history.replace(scan, frozenset({("humidity", "a")}))
    assert (history.lost, history.duplicates) == (0, 2)
    again = Scan(T0 + HORIZON_MS + 1, Settling(), now)
    again.add([window])  # for the last time: it is older than what may still change
    history.add(again)
    history.add(Scan(T0 + HORIZON_MS + 1, Settling(), now))
    assert (history.lost, history.duplicates) == (0, 2)
