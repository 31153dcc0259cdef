"""A consumer whose fetches nobody answers is told from one that has nothing to read."""

import pytest
from aiokafka import TopicPartition
from sensorpipe_server.ingest.fetch_watch import FAILED_AFTER, FetchesFailedError, FetchWatch
from support.hand_clock import HandClock

ZERO, ONE = TopicPartition("topic", 0), TopicPartition("topic", 1)


@pytest.fixture
def clock():
    return HandClock(1000.0)


@pytest.fixture
def watch(clock):
    return FetchWatch(clock)


def looks(watch, clock, fetched, found=(), *, seconds=100, joined=True):
    """Look once a second; `fetched` makes the times of the answers from the second."""
    for second in range(seconds):
        clock.now += 1
        watch.check(fetched(second), found, joined=joined)


def test_answers_without_a_record_are_answers(watch, clock):
    looks(watch, clock, lambda second: {ZERO: second, ONE: second})


def test_a_clock_that_is_set_back_changes_nothing(watch, clock):
    looks(watch, clock, lambda second: {ZERO: -second})


@pytest.mark.parametrize("at", [None, 7])
def test_one_partition_without_answers_is_enough(watch, clock, at):
    with pytest.raises(FetchesFailedError, match=r"the partitions \[1\] was answered for 45 s"):
        looks(watch, clock, lambda second: {ZERO: second, ONE: at}, [ZERO])
    assert 1000 + FAILED_AFTER < clock.now <= 1000 + FAILED_AFTER + 3


def test_records_that_were_fetched_before_count_as_answers(watch, clock):
    looks(watch, clock, lambda _: {ZERO: 7}, [ZERO])


def test_time_in_which_nothing_is_asked_for_does_not_count(watch, clock):
    for _ in range(10):
        looks(watch, clock, lambda _: {ZERO: 7}, seconds=4)
        with watch.paused():
            clock.now += 300
    with pytest.raises(FetchesFailedError):
        looks(watch, clock, lambda _: {ZERO: 7}, seconds=8)


def test_a_new_assignment_begins_anew(watch, clock):
    looks(watch, clock, lambda _: {ZERO: 7}, seconds=40)
    looks(watch, clock, lambda _: {ONE: 7}, seconds=40)
    looks(watch, clock, lambda _: {ZERO: 7}, seconds=40)


def test_a_standby_without_partitions_is_well_and_one_outside_the_group_is_not(watch, clock):
    looks(watch, clock, lambda _: {}, seconds=1000)
    with pytest.raises(FetchesFailedError, match="not admitted to the consumer group for 45 s"):
        looks(watch, clock, lambda _: {}, joined=False)
