"""A server behind Kafka that neither stores nor tries again is not alive."""

import pytest
from aiokafka import TopicPartition
from prometheus_client import REGISTRY
from sensorpipe_server.ingest.membership import Membership

ZERO = TopicPartition("topic", 7)


@pytest.fixture
def clock(membership):
    made = [0.0]
    membership.progress._clock = lambda: made[0]
    return made


@pytest.fixture
def membership():
    made = Membership()
    yield made
    made.on_partitions_revoked(())


def lag():
    name = "sensorpipe_server_consumer_lag_records"
    return REGISTRY.get_sample_value(name, {"partition": "7"})


def test_what_is_read_and_not_committed_for_a_minute_is_a_standstill(membership, clock):
    membership.note_read(ZERO, 5, 20)
    assert (membership.progress.is_made(), lag()) == (True, 15)
    clock[0] = 59.0
    assert membership.progress.is_made()
    clock[0] = 61.0
    assert not membership.progress.is_made()


def test_an_attempt_that_failed_is_progress_and_so_is_having_nothing_to_do(membership, clock):
    membership.note_read(ZERO, 5, 20)
    membership.progress.look()
    for at in range(50, 500, 50):
        clock[0] = float(at)
        membership.progress.moved()
        assert membership.progress.is_made()
    membership.note_committed({ZERO: 20})
    clock[0] = 5000.0
    assert (membership.progress.is_made(), lag()) == (True, 0)


def test_what_another_server_has_now_is_not_ours_to_move(membership, clock):
    membership.note_read(ZERO, 5, 20)
    membership.progress.look()
    membership.on_partitions_revoked(())
    clock[0] = 100.0
    assert (membership.progress.is_made(), lag()) == (True, None)
