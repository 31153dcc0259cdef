"""Rollups: any grouping gives the same, and what covers a range of time does so exactly."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading, Rollup
from sensorpipe_schema.intervals import Interval
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.partial import Summary, fill_summary
from sensorpipe_schema.sketch import Sketch
from sensorpipe_server.storage.documents import WindowKey
from sensorpipe_server.storage.fold import Window
from sensorpipe_server.storage.rollups import levels
from sensorpipe_server.storage.rollups.levels import DAY, FIVE_MINUTES, HOUR, Piece, cover
from sensorpipe_server.storage.rollups.totals import Total, multiset, rollup_of_windows

START = 1_700_000_000_000 - 1_700_000_000_000 % DAY.length_ms

INTERVALS = st.lists(
    st.tuples(st.integers(1, 30), st.integers(0, 6)).map(lambda pair: (pair[0], sum(pair))),
    max_size=8,
)


def members(intervals: Sequence[Interval]) -> list[int]:
    """Return every number that is held, as often as it is."""
    return sorted(n for first, last in intervals for n in range(first, last + 1))


@given(INTERVALS)
def test_a_multiset_has_one_form(intervals: list[Interval]):
    one = multiset(intervals)
    assert members(one) == members(intervals)
    assert one == multiset([(n, n) for n in members(intervals)])
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(one))


def test_what_is_held_twice_stays_twice_and_what_touches_is_joined():
    assert multiset([(4, 6), (1, 3)]) == [(1, 6)]
    assert multiset([(1, 3), (2, 2)]) == multiset([(1, 2), (2, 3)]) == [(1, 2), (2, 3)]


SUMMARIES = st.lists(
    st.tuples(
        st.sampled_from(["t", "u"]),
        st.sampled_from(["a", "b"]),
        st.integers(1, 30),
        st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5),
    ),
    min_size=1,
    max_size=3,
)


def window(at: int, summaries: Sequence[tuple[str, str, int, list[float]]]) -> Window:
    """Return a folded window: by summary the sensor, the source, its first seq, the values."""
    made = Window(
        WindowKey("hall_1", START + at * 10_000, 10_000), datetime(2026, 1, 1, 0, 0, at, tzinfo=UTC)
    )
    for name, src, first, values in summaries:
        sources = {src: [(first, first + len(values) - 1)]}
        entry = CompactedReading().sensors.add()
        fill_summary(entry, name, Summary(Moments.of(values), Sketch.of(values), sources))
        made.sensors.setdefault(name, []).append(entry)
    return made


def grouped(data: st.DataObject, windows: list[Window]) -> Rollup:
    """Return the rollup of rollups of some windows, down to single ones."""
    if len(windows) == 1 or data.draw(st.booleans()):
        return rollup_of_windows(windows)
    at = data.draw(st.integers(1, len(windows) - 1))
    total = Total()
    for part in data.draw(st.permutations([windows[:at], windows[at:]])):
        total.add_rollup(grouped(data, part))
    return total.rollup()


@given(data=st.data(), found=st.lists(SUMMARIES, min_size=1, max_size=6))
def test_any_grouping_of_windows_gives_the_same_rollup(
    data: st.DataObject, found: list[list[tuple[str, str, int, list[float]]]]
):
    windows = [window(at, summaries) for at, summaries in enumerate(found)]
    one = grouped(data, windows)
    plain = rollup_of_windows(windows)
    assert one.windows == len(windows)
    assert one.received_ms == 1_767_225_600_000 + 1000 * (len(windows) - 1)
    for mine, theirs in zip(one.sensors, plain.sensors, strict=True):
        close_to(mine.summary.mean, theirs.summary.mean)
        close_to(mine.summary.m2, theirs.summary.m2)
        mine.summary.mean = theirs.summary.mean
        mine.summary.m2 = theirs.summary.m2
    assert one == plain
    for entry in plain.sensors:
        name = entry.summary.sensor
        values = [v for some in found for sensor, *_, more in some if sensor == name for v in more]
        exact = Moments.of(values)
        assert (entry.summary.count, entry.summary.min, entry.summary.max) == (
            exact.count,
            exact.min,
            exact.max,
        )
        assert entry.windows == sum(any(s[0] == name for s in some) for some in found)


def close_to(one: float, other: float) -> None:
    """Check that two numbers differ by rounding only."""
    assert abs(one - other) <= 1e-9 * max(1.0, abs(one), abs(other))


def test_what_is_wrong_in_one_window_does_not_spoil_the_others():
    good, bad = window(0, [("t", "a", 1, [1.0, 2.0])]), window(1, [("t", "a", 3, [4.0])])
    bad.sensors["t"][0].sketch.zeros = 7
    bad.sensors["t"][0].sources[0].bounds[:] = [3, 9]
    total = Total()
    total.add_rollup(rollup_of_windows([good]))
    total.add_rollup(rollup_of_windows([bad]))
    again = Total()
    again.add_rollup(total.rollup())
    sensor = again.sensors["t"]
    assert sensor.moments.count == 3
    assert sensor.sketch == Sketch.of([1.0, 2.0])
    assert sensor.sources() == {"a": [(1, 2)]}


def test_what_is_not_asked_for_is_left_out():
    total = Total(["u"], sources=False, sketches=False)
    total.add_window(window(0, [("t", "a", 1, [1.0]), ("u", "a", 1, [2.0])]))
    total.add_rollup(rollup_of_windows([window(1, [("t", "a", 2, [1.0])])]))
    assert list(total.sensors) == ["u"]
    assert total.windows == 2
    assert total.sensors["u"].sources() == {}
    assert total.sensors["u"].sketch.count == 0


def test_a_rollup_is_stored_with_what_people_ask_for():
    rollup = rollup_of_windows([window(0, [("t", "a", 1, [1.0, 2.0])])])
    made = levels.rollup_document("hall_1", FIVE_MINUTES, START, rollup, 3)
    assert made["_id"] == f"hall_1/5m/{START:015d}"
    assert (made["level"], made["facility"], made["rev"]) == ("5m", "hall_1", 3)
    assert made["start"] == datetime.fromtimestamp(START / 1000, UTC)
    assert made["sensors"] == {
        "t": {"count": 2, "mean": 1.5, "m2": 0.5, "min": 1.0, "max": 2.0, "windows": 1}
    }
    assert levels.read_rollup(made) == rollup
    assert levels.rollup_start(made) == START
    bounds = levels.rollup_range("hall_1", FIVE_MINUTES, START, START + 1)
    assert bounds["$gte"] <= made["_id"] < bounds["$lt"]


def test_what_is_too_large_for_a_document_says_so():
    rollup = rollup_of_windows([window(0, [("t", "a", 1, [1.0])])])
    rollup.sensors[0].summary.sources.add(src="x" * levels.MAX_SUMMARY_BYTES, bounds=[1, 1])
    made = levels.rollup_document("hall_1", HOUR, START, rollup, 1)
    assert made["too_large"]
    assert "summary" not in made
    assert levels.read_rollup(made) is None
    assert levels.finer(HOUR) == FIVE_MINUTES
    assert levels.finer(FIVE_MINUTES) is None


MOMENTS = st.integers(0, 3 * 24 * 120).map(lambda half_minutes: START + half_minutes * 30_000)
BUCKETS = st.integers(0, 3 * 288).map(lambda n: START + n * FIVE_MINUTES.length_ms)


@given(
    bounds=st.tuples(MOMENTS, MOMENTS).map(sorted),
    done_ms=BUCKETS,
    marked=st.lists(BUCKETS, max_size=5, unique=True).map(sorted),
    coarsest=st.sampled_from([None, *levels.LEVELS]),
)
def test_what_covers_a_range_does_so_exactly(
    bounds: list[int], done_ms: int, marked: list[int], coarsest: levels.Level | None
):
    from_ms, to_ms = bounds
    pieces = list(cover(from_ms, to_ms, done_ms, marked, coarsest=coarsest))
    edges = [from_ms, *(piece.end_ms for piece in pieces)]
    assert edges[:-1] == [piece.start_ms for piece in pieces]
    assert edges[-1] == to_ms
    for piece in pieces:
        if piece.level is None:
            continue
        assert piece.start_ms % piece.level.length_ms == 0
        assert (piece.end_ms - piece.start_ms) % piece.level.length_ms == 0
        assert piece.end_ms <= done_ms
        assert coarsest is not None
        assert piece.level.length_ms <= coarsest.length_ms
        assert not any(piece.start_ms <= mark < piece.end_ms for mark in marked)
    for one, other in pairwise(pieces):
        assert one.level != other.level
    if coarsest is None:
        return
    # windows themselves only where no bucket of 5 minutes would do
    for piece in (piece for piece in pieces if piece.level is None):
        first = FIVE_MINUTES.start(piece.start_ms)
        for start in range(first, min(piece.end_ms, done_ms), FIVE_MINUTES.length_ms):
            end = start + FIVE_MINUTES.length_ms
            assert start < from_ms or end > min(to_ms, done_ms) or start in marked


def test_a_range_is_covered_by_the_coarsest_level_that_fits():
    from_ms, to_ms = START - 330_000, START + DAY.length_ms + HOUR.length_ms + 1
    assert list(cover(from_ms, to_ms, to_ms + DAY.length_ms)) == [
        Piece(None, from_ms, START - 300_000),
        Piece(FIVE_MINUTES, START - 300_000, START),
        Piece(DAY, START, START + DAY.length_ms),
        Piece(HOUR, START + DAY.length_ms, to_ms - 1),
        Piece(None, to_ms - 1, to_ms),
    ]


def test_a_bucket_whose_parts_are_removed_counts_whole_where_it_starts_within():
    removed = {"windows": START + HOUR.length_ms, "5m": START}
    from_ms, to_ms = START - HOUR.length_ms - 1, START + 301_000
    assert list(cover(from_ms, to_ms, START + DAY.length_ms, (), removed)) == [
        Piece(HOUR, START - HOUR.length_ms, START),
        Piece(FIVE_MINUTES, START, START + 600_000),
    ]


def test_what_is_only_in_coarser_buckets_than_asked_for_is_seen_also_in_the_middle_of_one():
    removed = {"windows": START + HOUR.length_ms, "5m": START + HOUR.length_ms}
    from_ms, to_ms = START + 600_000, START + HOUR.length_ms + 600_000
    done_ms = START + DAY.length_ms
    assert list(cover(from_ms, to_ms, done_ms, (), removed, coarsest=None)) == [
        Piece(HOUR, START, START + HOUR.length_ms),
        Piece(None, START + HOUR.length_ms, to_ms),
    ]


def test_nothing_counts_before_the_moment_that_all_levels_are_removed_to():
    removed = dict.fromkeys(["windows", "5m", "1h", "1d"], START)
    done_ms = START + DAY.length_ms
    assert list(cover(START - DAY.length_ms, START, done_ms, (), removed)) == []
    assert list(cover(START - DAY.length_ms, done_ms, done_ms, (), removed)) == [
        Piece(DAY, START, done_ms)
    ]


@given(
    cuts=st.lists(MOMENTS, min_size=2, max_size=6).map(sorted),
    removed_ms=st.lists(st.integers(0, 72), min_size=3, max_size=3).map(
        lambda hours: sorted((START + n * HOUR.length_ms for n in hours), reverse=True)
    ),
)
def test_ranges_that_follow_each_other_have_nothing_twice_and_leave_nothing_out(
    cuts: list[int], removed_ms: list[int]
):
    removed = dict(zip(["windows", "5m", "1h"], removed_ms, strict=True))
    done_ms = START + 3 * DAY.length_ms
    found: list[Piece] = []
    for from_ms, to_ms in pairwise(cuts):
        pieces = list(cover(from_ms, to_ms, done_ms, (), removed))
        assert all(from_ms <= piece.start_ms < to_ms for piece in pieces)
        found += pieces
    for one, other in pairwise(found):
        assert one.end_ms <= other.start_ms or one.level is None or one.level != other.level
    for piece in found:
        level = "windows" if piece.level is None else piece.level.name
        assert piece.start_ms >= removed.get(level, 0) or piece.level is not None


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        ([[3, 4]], {"a": [(3, 4)]}),
        ([[4, 3]], {}),
        ([[0, 1]], {}),
        ([[3, 5]], {}),  # more than there are readings
        ([[]], {}),
        ([[3]], {}),
        ([[3, 3, 5, 5]], {"a": [(3, 3), (5, 5)]}),
        ([[3, 3], [5, 5]], {"a": [(3, 3)], "b": [(5, 5)]}),
        ([[3, 4], [5, 5]], {}),
        ([], {}),
    ],
)
def test_sources_count_as_far_as_they_can_be_right(
    bounds: list[list[int]], kept: dict[str, list[Interval]]
):
    made = window(0, [("t", "a", 3, [1.0, 2.0])])
    (summary,) = made.sensors["t"]
    del summary.sources[:]
    for src, each in zip("ab", bounds, strict=False):
        summary.sources.add(src=src, bounds=each)
    total = Total()
    total.add_window(made)
    assert total.sensors["t"].sources() == kept
    assert total.unreadable == (0 if kept else len(bounds))
    assert total.entries == sum(len(some) for some in kept.values())
