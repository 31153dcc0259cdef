"""Which filters of former settings a start ends, by what was written before."""

from aiokafka import ConsumerRecord
from sensorpipe_compactor.epoch.subscriptions import HEADER, Subscriptions, filters_header
from sensorpipe_schema.names import COMPACTED


def record(*filters: str, header: str = HEADER) -> ConsumerRecord:
    headers = [(header, filters_header(filters)[1])] if filters else []
    return ConsumerRecord(COMPACTED, 0, 0, 0, 0, None, b"", None, 0, 0, headers)


def test_where_nothing_tells_nothing_is_ended():
    subscriptions = Subscriptions(["sensor_readings/a/#"])
    subscriptions.note(record())
    subscriptions.note(record("x/#", header="other"))
    assert not subscriptions.former_filters


def test_all_that_is_found_is_ended_but_what_is_wanted():
    subscriptions = Subscriptions(["b/#"])
    subscriptions.note(record("a/#", "b/#"))
    subscriptions.note(record("z/#"))
    assert subscriptions.former_filters == {"a/#", "z/#"}


def test_a_fence_names_the_former_filters_until_they_are_ended():
    first = Subscriptions(["b/#"])
    first.note(record("a/#"))
    fence = ConsumerRecord(COMPACTED, 0, 0, 0, 0, None, b"", None, 0, 0, [first.header()])
    killed_before_it_ended_them = Subscriptions(["c/#"])
    killed_before_it_ended_them.note(fence)
    assert killed_before_it_ended_them.former_filters == {"a/#", "b/#"}
