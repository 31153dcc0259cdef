"""Which filters of former settings a start ends, by what was written before."""

from aiokafka import ConsumerRecord
from sensorpipe_compactor.subscriptions import HEADER, Subscriptions, filters_header
from sensorpipe_schema.names import COMPACTED
from sensorpipe_schema.partial import Origin


def record(*filters: str, header: str = HEADER) -> ConsumerRecord:
    headers = [(header, filters_header(filters)[1])] if filters else []
    return ConsumerRecord(COMPACTED, 0, 0, 0, 0, None, b"", None, 0, 0, headers)


def test_where_nothing_tells_nothing_is_ended():
    subscriptions = Subscriptions(["sensor_readings/a/#"])
    subscriptions.note(record(), Origin("c", 9, 9))
    subscriptions.note(record("x/#", header="other"), Origin("c", 9, 9))
    assert not subscriptions.former


def test_the_latest_record_tells_whatever_the_order_of_reading():
    subscriptions = Subscriptions(["b/#"])
    subscriptions.note(record("a/#"), Origin("c", 2, 5))
    subscriptions.note(record("z/#"), Origin("c", 1, 8))
    subscriptions.note(record("a/#", "z/#"), Origin("c", 2, 0))
    assert subscriptions.former == {"a/#"}
    subscriptions.note(record("b/#"), Origin("c", 2, 6))
    assert not subscriptions.former


def test_a_fence_names_the_former_filters_until_they_are_ended():
    first = Subscriptions(["b/#"])
    first.note(record("a/#"), Origin("c", 2, 5))
    fence = ConsumerRecord(COMPACTED, 0, 0, 0, 0, None, b"", None, 0, 0, [first.header()])
    killed_before_it_ended_them = Subscriptions(["c/#"])
    killed_before_it_ended_them.note(fence, Origin("c", 3, 0))
    assert killed_before_it_ended_them.former == {"a/#", "b/#"}
