"""What the compactor's own records tell of all it ever wrote."""

from itertools import permutations

import pytest
from sensorpipe_compactor.epoch.coverage import Coverage

Record = tuple[int, int, int | None]
"""(partition, newest_ms, covers)."""


def told(records: list[Record], lows: dict[int, int]) -> int | None:
    """Return what no partial reaches, the same in every order; None where that is not told."""
    found = set()
    for order in permutations(records):
        coverage = Coverage()
        for record in order:
            coverage.add(*record)
        found.add(coverage.newest_ms if coverage.is_complete(lows) else None)
    (one,) = found
    return one


def test_the_newest_that_any_partition_tells_counts():
    assert told([(0, 50, 7), (1, 90, 3), (0, 80, 9)], {0: 9, 1: 3}) == 90


def test_a_partition_read_to_its_beginning_adds_nothing():
    assert told([(0, 50, 7)], {0: 7, 1: 0}) == 50


@pytest.mark.parametrize("lows", [{0: 0, 1: 0}, {}])
def test_an_empty_log_tells_nothing(lows: dict[int, int]):
    assert told([], lows) is None


def test_of_what_was_deleted_and_no_record_covers_nothing_is_reported():
    assert told([(0, 50, 7)], {0: 7, 1: 1}) is None
    assert told([(0, 50, 7), (1, 60, 4)], {0: 7, 1: 5}) is None
    assert told([(0, 50, 7), (1, 60, 5)], {0: 7, 1: 5}) == 60


def test_records_of_a_run_that_knew_of_nothing_before_it_tell_nothing():
    assert told([(0, 50, None), (1, 60, None)], {0: 0, 1: 0}) is None
    assert told([(0, 50, None), (1, 60, 0)], {0: 0, 1: 0}) == 60


def test_a_late_record_of_a_former_run_does_not_hide_what_is_before_it():
    """It says what it knew when it was written: nothing of what its successor wrote."""
    coverage = Coverage()
    coverage.add(0, 50, 2)
    assert not coverage.is_covered(0, 9)
    coverage.add(0, 90, 6)
    assert coverage.is_covered(0, 6)
    assert not coverage.is_covered(0, 7)
    assert not coverage.is_covered(1, 1)
    assert coverage.is_covered(1, 0)


def test_behind_a_mark_only_a_record_that_covers_it_tells():
    """Of topics that another compactor had, older records tell nothing."""
    coverage = Coverage()
    coverage.add(0, 50, 7)
    coverage.add(1, 60, 4)
    assert coverage.is_complete({0: 7, 1: 4})
    coverage.mark(0, 9)
    coverage.mark(1, 6)
    assert not coverage.is_complete({0: 7, 1: 4})
    coverage.add(0, 80, 9)  # all below it, and so not the marked fence
    assert not coverage.is_complete({0: 7, 1: 4})
    coverage.add(1, 90, 7)  # the run has learnt it: what it wrote to one partition tells of all
    assert coverage.is_complete({0: 7, 1: 4})
    assert coverage.newest_ms == 90
    coverage.mark(1, 12)
    coverage.mark(0, 11)
    assert not coverage.is_complete({0: 7, 1: 4})


def test_a_mark_alone_tells_nothing():
    coverage = Coverage()
    coverage.mark(0, 0)
    assert not coverage.is_complete({0: 0})
