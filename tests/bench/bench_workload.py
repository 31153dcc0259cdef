"""The readings that are sent: 3 facilities of 3 sensors, 9,000 readings a second in all."""

import secrets
from collections.abc import Iterator

from sensorpipe_schema.names import reading_topic
from sensorpipe_schema.reading import Reading, encode

FACILITIES = ("facility_1", "facility_2", "facility_3")
SENSORS = (("humidity", 50.0), ("pressure", 1013.0), ("temperature", 20.0))
TOPICS = [reading_topic(facility, sensor) for facility in FACILITIES for sensor, _ in SENSORS]
RUN = 20
"""Readings of one topic in a row, as a generator of 1,000 devices at 1 s sends them."""

A_SECOND = 9000

CLOSING_MS = 30_000


def closing(count: int, start_ms: int) -> Iterator[tuple[int, bytes]]:
    """Yield one later reading of each facility, which closes the windows of `count` payloads."""
    end_ms = start_ms + count * 1000 // A_SECOND
    for place in range(len(FACILITIES)):
        yield place * len(SENSORS), encode(Reading(end_ms + CLOSING_MS, 50.0))


def payloads(count: int, start_ms: int) -> Iterator[tuple[int, bytes]]:
    """Yield (index of topic, payload) of readings from `start_ms` on, in order of time."""
    run = secrets.token_hex(6)
    sources = [f"{facility.replace('_', '-')}-{run}" for facility in FACILITIES]
    for number in range(count):
        turn, place = divmod(number, RUN)
        topic = turn % len(TOPICS)
        seq = turn // len(TOPICS) * RUN + place + 1
        ts = start_ms + number * 1000 // A_SECOND
        mean = SENSORS[topic % len(SENSORS)][1]
        value = mean * (1 + (number * 7919 % 1000 - 500) / 5000)
        yield topic, encode(Reading(ts, value, sources[topic // len(SENSORS)], seq))
