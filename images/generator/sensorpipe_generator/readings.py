"""Turns slots of the schedule into payloads, in batches."""

from typing import Final

import msgspec
from sensorpipe_schema.names import reading_topic
from sensorpipe_schema.reading import Reading
from sensorpipe_schema.sensor import Sensor

from sensorpipe_generator.schedule import Schedule
from sensorpipe_generator.signal import Series

_encode: Final = msgspec.json.Encoder().encode


class Readings:
    """The readings of one run: a topic for each measurement, one `src` for all."""

    def __init__(self, sensor: Sensor, src: str, share: range | None = None) -> None:
        spec = sensor.spec
        schedule = Schedule(0, spec.interval_ms, spec.count, share)
        self.src = src
        self.topics = [reading_topic(spec.facility, m.name) for m in spec.measurements]
        self._devices = slice(schedule.devices.start, schedule.devices.stop)
        self._count = schedule.count
        self._series = [Series(sensor, measurement) for measurement in spec.measurements]
        self._offsets_ms = schedule.offsets_ms()
        self._tick = -1
        self._values: list[list[float]] = []

    def batches(
        self, schedule: Schedule, first: int, last: int, seq: int
    ) -> list[tuple[str, list[bytes]]]:
        """Return (topic, payloads) of slots `first` to `last - 1`; the first has this `seq`."""
        payloads: list[list[bytes]] = [[] for _ in self.topics]
        while first < last:
            tick, low = divmod(first, self._count)
            high = min(self._count, low + last - first)
            times = (self._offsets_ms[low:high] + schedule.time_of_tick(tick)).tolist()
            self.move_to(tick)
            for batch, values in zip(payloads, self._values, strict=True):
                batch.extend(self._payloads(times, values[low:high], seq))
            first += high - low
            seq += high - low
        return list(zip(self.topics, payloads, strict=True))

    def move_to(self, tick: int) -> None:
        """Compute the values of a tick, for random walks from those of the ticks before it."""
        if tick != self._tick:
            self._values = [series.at(tick)[self._devices].tolist() for series in self._series]
            self._tick = tick

    def _payloads(self, times: list[int], values: list[float], seq: int) -> list[bytes]:
        src = self.src
        return [
            _encode(Reading(ts, val, src, number))
            for number, (ts, val) in enumerate(zip(times, values, strict=True), seq)
        ]
