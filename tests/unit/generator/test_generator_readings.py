"""Payloads: each reading carries exactly the value, the time and the number it should."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_generator.readings import Readings
from sensorpipe_generator.schedule import Schedule
from sensorpipe_generator.signal import Series
from sensorpipe_schema.reading import Reading, decode
from sensorpipe_schema.sensor import API_VERSION, Sensor
from support.signal_values import value_of_seq

SENSOR = Sensor.parse(
    {
        "apiVersion": API_VERSION,
        "kind": "Sensor",
        "metadata": {"name": "boiler"},
        "spec": {
            "facility": "f",
            "count": 7,
            "interval": "1s",
            "measurements": [
                {"name": "noise", "signal": {"normal": {"mean": 1e-9, "stdev": 1e9}}},
                {"name": "walk", "signal": {"randomWalk": {"start": 0, "step": 1e-300}}},
                {"name": "whole", "signal": {"constant": {"value": 50}}},
            ],
        },
    }
)
SCHEDULE = Schedule.after(1_700_000_000_001, 1000, 7)


def decoded(payloads: list[bytes]) -> list[Reading]:
    return [decode(payload, SCHEDULE.start_ms + 60_000) for payload in payloads]


@given(st.integers(0, 500), st.integers(1, 60), st.integers(1, 2**53))
def test_batches_hold_what_the_seed_says(first: int, length: int, seq: int) -> None:
    batches = Readings(SENSOR, "boiler-1").batches(SCHEDULE, first, first + length, seq)
    assert [topic for topic, _ in batches] == [
        f"sensor_readings/f/{name}" for name in ("noise", "walk", "whole")
    ]
    for (_, payloads), measurement in zip(batches, SENSOR.spec.measurements, strict=True):
        series = Series(SENSOR, measurement)
        assert decoded(payloads) == [
            Reading(
                SCHEDULE.time_of(slot),
                value_of_seq(series, slot + 1),
                "boiler-1",
                seq + slot - first,
            )
            for slot in range(first, first + length)
        ]


@given(st.lists(st.integers(0, 20), max_size=15))
def test_however_it_is_sliced_the_readings_are_the_same(lengths: list[int]) -> None:
    whole, sliced = Readings(SENSOR, "a"), Readings(SENSOR, "a")
    slot = 0
    parts: list[list[bytes]] = [[], [], []]
    for length in lengths:
        batches = sliced.batches(SCHEDULE, slot, slot + length, slot + 1)
        for part, (_, payloads) in zip(parts, batches, strict=True):
            part.extend(payloads)
        slot += length
    assert parts == [payloads for _, payloads in whole.batches(SCHEDULE, 0, slot, 1)]


def test_a_payload_looks_like_this() -> None:
    batches: Any = dict(Readings(SENSOR, "boiler-1").batches(SCHEDULE, 0, 1, 1))
    assert batches["sensor_readings/f/whole"] == [
        b'{"ts":1700000001000,"val":50.0,"src":"boiler-1","seq":1}'
    ]
