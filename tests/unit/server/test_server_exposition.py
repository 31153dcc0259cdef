"""The text that Prometheus scrapes from the API, as Prometheus reads it."""

from prometheus_client.parser import text_string_to_metric_families
from sensorpipe_schema.moments import Moments
from sensorpipe_server.api.sensor_metrics import (
    AT_ONCE,
    FAMILIES,
    LEFT_OUT,
    LEFT_OUT_HELP,
    exposition,
)
from sensorpipe_server.storage.reads.latest import Latest
from support.services import ROOT

LAST = Latest(1_731_600_010_000, Moments(3, 21.5, 0.5, 21.0, 22.25))


TEXT = """\
# HELP sensorpipe_sensor_average Average of the readings of the latest complete window, in the sensor's unit.
# TYPE sensorpipe_sensor_average gauge
sensorpipe_sensor_average{facility="hall_1",sensor="temperature"} 21.5
# HELP sensorpipe_sensor_minimum Lowest reading of the latest complete window, in the sensor's unit.
# TYPE sensorpipe_sensor_minimum gauge
sensorpipe_sensor_minimum{facility="hall_1",sensor="temperature"} 21.0
# HELP sensorpipe_sensor_maximum Highest reading of the latest complete window, in the sensor's unit.
# TYPE sensorpipe_sensor_maximum gauge
sensorpipe_sensor_maximum{facility="hall_1",sensor="temperature"} 22.25
# HELP sensorpipe_sensor_readings Number of readings of the latest complete window.
# TYPE sensorpipe_sensor_readings gauge
sensorpipe_sensor_readings{facility="hall_1",sensor="temperature"} 3.0
# HELP sensorpipe_sensor_window_end_timestamp_seconds Unix time of the end of the latest complete window.
# TYPE sensorpipe_sensor_window_end_timestamp_seconds gauge
sensorpipe_sensor_window_end_timestamp_seconds{facility="hall_1",sensor="temperature"} 1.73160001e+09
# HELP sensorpipe_sensor_facilities_left_out Facilities of which sensors are left out, as 10,000 sensors are the most.
# TYPE sensorpipe_sensor_facilities_left_out gauge
sensorpipe_sensor_facilities_left_out 2
"""  # noqa: E501  each is one line of the format


async def test_the_text_is_that_of_prometheus():
    assert await exposition([("hall_1", "temperature", LAST)], left_out=2) == TEXT


async def test_many_sensors_and_numbers_of_any_size_are_read_back():
    values = [0.0, -1e-9, 1e300, float("inf"), 123456789.123]
    series = [
        (f"hall_{number}", "t", Latest(10_000, Moments(1, values[number % 5], 0.0, 0.0, 0.0)))
        for number in range(2 * AT_ONCE + 1)
    ]
    families = {
        each.name: each
        for each in text_string_to_metric_families(await exposition(series, left_out=0))
    }
    assert set(families) == {
        *(family.name for family in FAMILIES), "sensorpipe_sensor_facilities_left_out"
    }  # fmt: skip
    found = families["sensorpipe_sensor_average"].samples
    assert [each.labels["facility"] for each in found] == [name for name, _, _ in series]
    assert [each.value for each in found[:5]] == values


def test_the_docs_have_a_table_of_these_metrics():
    page = (ROOT / "docs/metrics.md").read_text()
    for name, said in [*(family[:2] for family in FAMILIES), (LEFT_OUT, LEFT_OUT_HELP)]:
        assert f"| `{name}` | {said} |" in page


async def test_without_sensors_all_metrics_are_described():
    families = list(text_string_to_metric_families(await exposition([], left_out=0)))
    assert len(families) == len(FAMILIES) + 1
