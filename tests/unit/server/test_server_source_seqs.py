"""What is lost, pending and duplicate of a source."""

import random
from datetime import UTC, datetime

import pytest
from sensorpipe_schema.partial import pairs
from sensorpipe_server.storage.source_seqs import (
    FUTURE_SECONDS,
    STORING_SECONDS,
    Settling,
    SourceSeqs,
)
from support.exact_audit import ExactAudit

NOW = 1_800_000_000.0
OLD, YOUNG = NOW, NOW + 1


def seqs(*added: tuple[list[int], float]) -> SourceSeqs:
    made = SourceSeqs()
    for bounds, settles_at in added:
        made.add(pairs(bounds), settles_at, NOW)
    return made


def settles_at(settling: Settling, received: float, length_ms: int = 10_000) -> float:
    return settling.settles_at(datetime.fromtimestamp(received, UTC), length_ms, NOW)


def test_a_gap_below_a_window_that_may_be_overtaken_is_pending():
    assert seqs(([1, 3], OLD), ([7, 9], YOUNG)).missing() == (0, 3)
    assert seqs(([1, 3], YOUNG), ([7, 9], OLD)).missing() == (3, 0)


def test_any_old_window_above_a_gap_proves_the_loss():
    found = seqs(([1, 3], OLD), ([5, 5], YOUNG), ([7, 9], OLD), ([12, 12], YOUNG))
    assert found.missing() == (2, 2)  # 4 and 6; 10 and 11


def test_what_is_missing_before_the_first_reading_counts_alike():
    assert seqs(([4, 4], OLD)).missing() == (3, 0)
    assert seqs(([4, 4], YOUNG)).missing() == (0, 3)
    assert seqs(([4, 4, 6, 6], OLD)).missing(from_one=False) == (1, 0)


def test_what_is_pending_is_lost_once_time_has_passed():
    found = seqs(([1, 3], OLD), ([7, 9], YOUNG))
    assert found.plus(SourceSeqs(), NOW).missing() == (0, 3)
    later = found.plus(SourceSeqs(), YOUNG)
    assert later.missing() == (3, 0)
    # and a reading that is younger still puts it off no further
    assert later.plus(seqs(([11, 11], YOUNG + 5)), YOUNG).missing() == (3, 1)


def test_a_window_settles_its_length_twice_the_lateness_and_the_storing_later():
    settling = Settling(lateness_ms=2_000)
    assert settles_at(settling, NOW) == NOW + 10 + 4 + STORING_SECONDS
    assert settles_at(settling, NOW, 60_000) == NOW + 60 + 4 + STORING_SECONDS
    tolerant = Settling(lateness_ms=3_600_000)
    assert settles_at(tolerant, NOW) == NOW + 10 + 7_200 + STORING_SECONDS


def test_a_window_is_complete_once_the_lateness_has_passed_after_its_end():
    settling = Settling(lateness_ms=2_000)
    assert not settling.is_complete(end_ms=10_000, now_ms=11_999)
    assert settling.is_complete(end_ms=10_000, now_ms=12_000)


def test_what_was_received_before_a_clock_was_set_back_is_old():
    settling = Settling()
    assert settles_at(settling, NOW + FUTURE_SECONDS + 1) <= NOW
    assert settles_at(settling, NOW + FUTURE_SECONDS - 1) > NOW


@pytest.mark.parametrize("seed", range(20))
def test_of_old_windows_nothing_is_pending_and_the_rest_is_exact(seed):
    rng = random.Random(seed)
    numbers = [1, *(rng.randrange(2, 60) for _ in range(rng.randrange(40)))]
    made = seqs(*(([n, n], OLD) for n in numbers))
    exact = ExactAudit.of([(n, n) for n in numbers])
    assert made.missing() == (exact.lost, 0)
    assert (made.count, made.duplicates) == (exact.count, exact.duplicates)
    assert (made.first, made.last) == (exact.first, exact.last)
