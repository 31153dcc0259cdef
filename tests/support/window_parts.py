"""What tests of the windows share: messages, and windows as they are by default."""

from dataclasses import dataclass

import mqtt5
from sensorpipe_compactor.clock_check import Instant
from sensorpipe_compactor.windowing.buffers import Arrivals, Portion, Window
from sensorpipe_compactor.windowing.sources import MAX_INTERVALS, SOURCE_BYTES, Sources
from sensorpipe_compactor.windows import Windows
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_schema.reading import Reading, encode

NOW = 1_800_000_000_000
WINDOW, LATENESS = 10_000, 2_000

Where = tuple[str, int, str]
"""Facility, start of the window, sensor."""


def message(topic: str, payload: bytes) -> Message:
    return mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=1)


def of(reading: Reading, facility: str = "f", sensor: str = "s") -> Message:
    return message(f"sensor_readings/{facility}/{sensor}", encode(reading))


def when(ms: int, stepped: int = 0) -> Instant:
    """Return a time; where it is given, the wall clock is `stepped` ms off."""
    return Instant(ms + stepped, ms)


def windows(sources: Sources | None = None) -> Windows:
    return Windows(WINDOW, LATENESS, sources)


def remembering(sources: int, max_intervals: int = MAX_INTERVALS) -> Sources:
    """Return sources of which so many are remembered, if they have no gaps, and short names."""
    return Sources(sources * (SOURCE_BYTES + 30), max_intervals)


def take_all(windows: Windows) -> list[Window]:
    """Take all windows out, as a compactor does before time."""
    found: list[Window] = []
    while taken := windows.take_oldest(2**63):
        found += taken
    return found


@dataclass
class Bucket:
    """The readings of one sensor in one window."""

    portions: dict[str | None, Portion]
    """By `src`."""

    @property
    def values(self) -> list[float]:
        return [value for portion in self.portions.values() for value in portion.values]

    @property
    def intervals_by_src(self) -> dict[str, Arrivals]:
        return {src: portion.intervals for src, portion in self.portions.items() if src is not None}


def buckets(window: Window) -> dict[str, Bucket]:
    """Return the readings of a window by sensor."""
    return {
        portions[0].sensor: Bucket({portion.src: portion for portion in portions})
        for portions in window.by_sensor()
    }
