"""Which filters of former settings a start ends, by what was written before."""

from aiokafka import ConsumerRecord
from sensorpipe_compactor.epoch.subscriptions import HEADER, Subscriptions, filters_header
from sensorpipe_schema.names import COMPACTED


def record(
    *filters: str,
    header: str = HEADER,
    former: tuple[str, ...] = (),
    partition: int = 0,
    offset: int = 0,
) -> ConsumerRecord:
    headers = [(header, filters_header(filters, former)[1])] if filters else []
    return ConsumerRecord(COMPACTED, partition, offset, 0, 0, None, b"", None, 0, 0, headers)


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


def others_may_write(wanted: list[str], *records: ConsumerRecord) -> bool:
    subscriptions = Subscriptions(wanted)
    for each in records:
        subscriptions.note(each)
    return subscriptions.others_may_write


def test_a_compactor_without_records_may_not_be_the_only_one():
    assert others_may_write(["a/#"])
    assert others_may_write(["a/#"], record())  # of a version that wrote no filters


def test_topics_that_the_run_before_had_are_ours_alone():
    assert not others_may_write(["a/#", "b/#"], record("a/#", "b/#", "feed/+"))
    assert not others_may_write(["a/x/#", "a/y"], record("a/#"))  # fewer topics than before
    assert others_may_write(["a/#", "b/#"], record("a/#"))
    assert others_may_write(["a/#"], record("a/+"))


def test_topics_that_were_given_up_are_new_when_they_come_back():
    given_up = [
        record("a/#", "b/#", offset=4),
        record("a/#", former=("b/#",), offset=7),
        record("a/#", "b/#", partition=1, offset=9),
    ]
    for records in (given_up, reversed(given_up)):
        assert others_may_write(["a/#", "b/#"], *records)


def test_the_records_of_this_run_do_not_change_what_was_decided():
    subscriptions = Subscriptions(["a/#", "b/#"])
    subscriptions.note(record("a/#"))
    assert subscriptions.others_may_write
    subscriptions.note(record("a/#", "b/#", offset=1))
    assert subscriptions.others_may_write


def test_by_the_settings_others_may_always_write():
    subscriptions = Subscriptions(["a/#"], is_taking_over=True)
    subscriptions.note(record("a/#"))
    assert subscriptions.others_may_write
