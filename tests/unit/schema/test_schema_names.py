import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_schema import names

GOOD = ["a", "0", "facility_1", "a-b", "a--b", "a_b", "x" * 63, "0a9"]
BAD = [
    "", "-", "_", "-a", "a-", "_a", "a_", "A", "Facility", "a b", "a.b", "a/b", "a+", "#", "$a",
    "ä", "²", "a\n", "\na", "a\0", "x" * 64,
]  # fmt: skip

TOPICS = [
    ("sensor_readings", "bad_topic"),
    ("sensor_readings/", "bad_topic"),
    ("sensor_readings/f", "bad_topic"),
    ("sensor_readings/f/s/", "bad_topic"),
    ("sensor_readings/f/s/more", "bad_topic"),
    ("/sensor_readings/f/s", "bad_topic"),
    ("Sensor_readings/f/s", "bad_topic"),
    ("other/f/s", "bad_topic"),
    ("", "bad_topic"),
    ("sensor_readings//s", "bad_facility_name"),
    ("sensor_readings/F/s", "bad_facility_name"),
    ("sensor_readings/-f/s", "bad_facility_name"),
    ("sensor_readings/f /s", "bad_facility_name"),
    ("sensor_readings/" + "f" * 64 + "/s", "bad_facility_name"),
    ("sensor_readings/F/S", "bad_facility_name"),
    ("sensor_readings/f/", "bad_sensor_name"),
    ("sensor_readings/f/S", "bad_sensor_name"),
    ("sensor_readings/f/s_", "bad_sensor_name"),
    ("sensor_readings/f/s\n", "bad_sensor_name"),
    ("sensor_readings/f/température", "bad_sensor_name"),
]


@pytest.mark.parametrize("name", GOOD)
def test_a_good_name(name):
    assert names.is_name(name)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_name(name):
    assert not names.is_name(name)


@pytest.mark.parametrize(("topic", "reason"), TOPICS)
def test_a_topic_that_no_reading_can_have_says_why(topic, reason):
    with pytest.raises(names.BadTopicError, match=reason) as caught:
        names.split_topic(topic)
    assert caught.value.reason == reason
    assert repr(topic) in str(caught.value)


@given(st.from_regex(names.NAME_PATTERN, fullmatch=True), st.sampled_from(GOOD))
def test_a_topic_gives_back_its_names(facility, sensor):
    assert names.split_topic(names.reading_topic(facility, sensor)) == (facility, sensor)


@given(st.text())
def test_any_topic_is_split_or_refused(topic):
    try:
        facility, sensor = names.split_topic(topic)
    except names.BadTopicError:
        return
    assert names.reading_topic(facility, sensor) == topic


def test_the_contracts_of_the_design():
    assert names.READINGS_FILTER == "sensor_readings/#"
    assert names.DEAD_READINGS == "sensor_readings.dead_letter"
    assert names.COMPACTED == "compacted_sensor_readings"
    assert names.DEAD_COMPACTED == "compacted_sensor_readings.dead_letter"
    assert names.SERVER_GROUP == "data_server_group"
