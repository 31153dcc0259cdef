"""How far back dead letters are looked for, and which are the newest."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_server.api.dead_letters.newest import FIRST_STEP, Bounds, Newest, Part, Wanted
from support.dead_letters import Raw, refused_message, searched

REASONS = ("not_json", "bad_ts")
Log = list[Raw]


def log_of(partition: int, letters: Sequence[tuple[int, str]], size: int = 10) -> Log:
    """Return a partition: for each letter the milliseconds after the one before, and its reason."""
    found, at = [], 1_000_000
    for offset, (gap, reason) in enumerate(letters):
        at += gap
        value, headers = refused_message(reason, payload=b"x" * size)
        found.append(Raw("dead", partition, offset, at, value, headers))
    return found


def search(logs: Sequence[Log], wanted: Wanted, bounds: Bounds | None = None) -> Newest:
    """Search partitions as `tail` does."""
    parts = [
        Part("dead", number, 0, len(log), len(log), wanted.limit) for number, log in enumerate(logs)
    ]
    return searched(Newest(wanted, parts, bounds or Bounds()), logs)


def places(newest: Newest) -> list[tuple[int, int]]:
    return [(each.kept_at.partition, each.kept_at.offset) for each in newest.letters]


def expected(logs: Sequence[Log], wanted: Wanted) -> list[Raw]:
    """Return all letters that are wanted, newest first."""
    found = [
        each
        for log in logs
        for each in log
        if wanted.reason is None or dict(each.headers)["reason"] == wanted.reason.encode()
    ]
    return sorted(found, key=lambda each: (each.timestamp, each.partition, each.offset))[::-1]


letters = st.tuples(st.integers(0, 50), st.sampled_from(REASONS))
logs_of_partitions = st.lists(st.lists(letters, max_size=150), min_size=1, max_size=4).map(
    lambda all_of: [log_of(number, each) for number, each in enumerate(all_of)]
)
wanted_ones = st.builds(Wanted, st.integers(1, 40), st.none() | st.sampled_from(REASONS))


@given(logs_of_partitions, wanted_ones)
def test_the_newest_of_all_partitions_are_found(logs: list[Log], wanted: Wanted) -> None:
    newest, whole = search(logs, wanted), expected(logs, wanted)
    assert places(newest) == [(each.partition, each.offset) for each in whole[: wanted.limit]]
    if newest.is_complete:
        assert len(newest.letters) == len(whole)
        assert newest.since_ms is None


@given(logs_of_partitions, wanted_ones, st.integers(1, 100))
def test_with_bounds_none_is_missing_from_since_on(
    logs: list[Log], wanted: Wanted, records: int
) -> None:
    newest = search(logs, wanted, Bounds(records=records))
    assert newest.records <= max(records, len(logs))
    since = newest.since_ms or 0
    at_least = [each for each in expected(logs, wanted) if each.timestamp > since]
    found = places(newest)
    for each in at_least:
        assert (each.partition, each.offset) in found
    assert newest.is_complete == (len(found) == len(expected(logs, wanted)) and not since)


def test_a_full_answer_ends_the_search_early() -> None:
    logs = [log_of(number, [(1, "not_json")] * 10_000) for number in range(3)]
    newest = search(logs, Wanted(30))
    assert newest.records <= 3 * 2 * FIRST_STEP
    assert not newest.is_complete
    assert newest.held("dead") == 30_000
    assert newest.held("other") is None


def test_a_filter_that_matches_nothing_looks_back_to_the_bound_and_says_how_far() -> None:
    logs = [log_of(0, [(1, "not_json")] * 10_000)]
    newest = search(logs, Wanted(5, reason="bad_ts"), Bounds(records=1000))
    assert (newest.records, newest.letters, newest.is_complete) == (1000, [], False)
    assert newest.since_ms == 1_000_000 + 9_001


def test_large_letters_are_looked_back_at_less_far() -> None:
    large = [log_of(0, [(1, "not_json")] * 3_000, size=8192)]
    newest = search(large, Wanted(5, reason="bad_ts"), Bounds(bytes=1024 * 1024))
    assert newest.bytes <= 1024 * 1024


def test_what_is_written_while_the_end_is_read_counts() -> None:
    part = Part("dead", 0, 0, 2, 2, 10)
    newest = Newest(Wanted(10), [part])
    (first,) = newest.next_steps()
    assert first.step is not None
    for record in log_of(0, [(1, "not_json")] * 4):
        first.step.take(record, newest.wanted)
    newest.finish([first])
    assert places(newest) == [(0, 3), (0, 2), (0, 1), (0, 0)]
