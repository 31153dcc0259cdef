"""What becomes of the records of an append, over all its attempts."""

import pytest
from sensorpipe_compactor.output.records import Record
from sensorpipe_compactor.output.sending import Sending, UncertainAppendError
from sensorpipe_schema.names import COMPACTED


@pytest.fixture
def sending() -> Sending:
    """Four records, in two partitions."""
    records = [Record(COMPACTED, b"k", b"v", []) for _ in range(4)]
    return Sending(records, {0: [0, 2, 3], 5: [1]})


def test_what_is_durable_or_refused_is_not_left(sending: Sending):
    assert not sending.sent([0, 2])
    sending.written(0, [0, 2], 40)
    assert (sending.left, sending.is_done) == ({0: [3], 5: [1]}, False)
    sending.written(0, [3], 99)
    sending.refuse([1])
    assert (sending.left, sending.is_done) == ({}, True)
    assert sending.refused == {1}
    assert sending.durable == {0: [(40, 2), (99, 1)]}


def test_a_batch_that_is_too_large_is_left_until_it_is_refused(sending: Sending):
    sending.was_too_large([0, 2], is_repeated=sending.sent([0, 2]))
    assert (sending.too_large, sending.left) == ({0, 2}, {0: [0, 2, 3], 5: [1]})
    sending.begin_round()
    assert not sending.too_large
    assert not sending.sent([0])  # nothing of it is written


def test_one_record_that_may_be_written_makes_its_batch_uncertain(sending: Sending):
    sending.sent([3])  # and no answer comes
    with pytest.raises(UncertainAppendError, match="may have been written"):
        sending.was_too_large([0, 2, 3], is_repeated=sending.sent([0, 2, 3]))
    assert not sending.sent([1])
