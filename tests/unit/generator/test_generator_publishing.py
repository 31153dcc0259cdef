"""Stalls, outages and clocks: what is published late, what is given up, and no gap in `seq`."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_generator.publishing import Publishing
from sensorpipe_generator.readings import Readings
from sensorpipe_generator.schedule import Schedule
from sensorpipe_generator.signal import Series
from sensorpipe_schema.reading import Reading, decode_fast
from sensorpipe_schema.sensor import API_VERSION, Sensor
from support.examples import examples
from support.signal_values import value_of_seq

NOW = 1_700_000_000_000
PATIENCE = 60_000
NAMES = ("a", "b")


@dataclass
class Outlet:
    """Takes what has room, as the MQTT link does."""

    room: int = 1_000_000
    taken: dict[str, list[Reading]] = field(default_factory=lambda: defaultdict(list))

    def publish(self, topic: str, payloads: list[bytes]) -> None:
        assert len(payloads) <= self.room
        self.room -= len(payloads)
        self.taken[topic].extend(map(decode_fast, payloads))


@dataclass
class Rig:
    """A generator with a clock that the test sets."""

    sensor: Sensor
    outlet: Outlet = field(default_factory=Outlet)
    now: int = NOW

    def __post_init__(self) -> None:
        spec = self.sensor.spec
        self.schedule = Schedule.after(self.now, spec.interval_ms, spec.count)
        self.publishing = Publishing(
            Readings(self.sensor, "run"),
            self.schedule,
            self.outlet,
            give_up_after_ms=PATIENCE,
            clock_ms=lambda: self.now,
        )
        self.totals = self.publishing.totals

    def at(self, after_ms: int) -> None:
        """Let it be so long after the start, and let the loop catch up."""
        self.now = NOW + after_ms
        while self.publishing.step() == 0:
            pass

    @property
    def readings(self) -> list[Reading]:
        """Those of the first topic; each topic's have the same times and numbers."""
        first, second = (self.outlet.taken[f"sensor_readings/f/{name}"] for name in NAMES)
        assert [(r.ts, r.seq) for r in first] == [(r.ts, r.seq) for r in second]
        assert [r.seq for r in first] == list(range(1, len(first) + 1))
        return first

    def times(self) -> list[int]:
        """Milliseconds after the start."""
        return [reading.ts - NOW for reading in self.readings]


def rig(count: int = 1, interval: str = "1s", signal: Any = None, room: int = 1_000_000) -> Rig:
    signal = signal or {"normal": {"mean": 20, "stdev": 1}}
    measurements = [{"name": name, "signal": signal} for name in NAMES]
    spec = {"facility": "f", "count": count, "interval": interval, "measurements": measurements}
    manifest = {"apiVersion": API_VERSION, "kind": "Sensor", "metadata": {"name": "s"}}
    return Rig(Sensor.parse({**manifest, "spec": spec}), Outlet(room))


def test_each_is_published_when_it_is_due() -> None:
    it = rig(count=4)
    for after in (0, 249, 250, 999, 1000):
        it.at(after)
    assert it.times() == [0, 250, 500, 750, 1000]
    assert (it.totals.published, it.totals.late, it.totals.given_up) == (10, 0, 0)


def test_after_a_stall_all_follow_late_and_in_order() -> None:
    it = rig(count=2)
    it.at(0)
    it.at(10_000)
    assert it.times() == list(range(0, 10_001, 500))
    # those of 500 to 8,500 ms were more than an interval late by 10,000 ms
    assert it.totals.late == 17 * len(NAMES)
    assert it.totals.given_up == 0


def test_it_is_behind_with_what_is_due_and_has_no_room() -> None:
    it = rig(count=2, room=2)
    assert it.publishing.is_behind()
    it.at(0)
    assert not it.publishing.is_behind()
    it.at(500)
    assert it.publishing.is_behind()
    it.outlet.room = 2
    it.at(500)
    assert not it.publishing.is_behind()


def test_late_means_100_ms_at_least() -> None:
    it = rig(interval="10ms")
    it.at(0)
    it.at(110)
    assert it.totals.late == 0
    it.at(220)
    assert it.totals.late == 0
    it.at(331)
    assert it.totals.late == len(NAMES)


def test_what_is_more_than_a_minute_behind_is_given_up() -> None:
    it = rig()
    it.at(0)
    it.at(100_000)
    assert it.times() == [0, *range(40_000, 100_001, 1000)]
    assert it.totals.given_up == 39 * len(NAMES)
    assert it.totals.published == 62 * len(NAMES)


def test_a_full_buffer_holds_the_schedule_then_gives_up_the_oldest() -> None:
    it = rig(room=21)
    it.at(30_000)
    assert it.times() == list(range(0, 10_000, 1000))
    it.at(75_000)
    assert it.totals.given_up == 5 * len(NAMES)
    it.outlet.room = 1_000
    it.at(75_000)
    assert it.times() == [*range(0, 10_000, 1000), *range(15_000, 75_001, 1000)]
    assert it.totals.published + it.totals.given_up == 76 * len(NAMES)


def test_after_given_up_readings_the_values_are_still_those_of_their_times() -> None:
    it = rig(count=3, signal={"randomWalk": {"start": 0, "step": 1}}, interval="10ms")
    it.at(100)
    it.at(300_000)
    series = Series(it.sensor, it.sensor.spec.measurements[0])
    for reading in it.readings[::997]:
        slot = it.schedule.due(reading.ts) - 1
        assert reading.val == value_of_seq(series, slot + 1)


def test_a_clock_set_back_a_little_repeats_nothing() -> None:
    it = rig()
    it.at(30_000)
    it.at(10_000)
    assert it.times() == list(range(0, 30_001, 1000))
    it.at(31_000)
    assert it.times() == list(range(0, 31_001, 1000))


def test_a_clock_set_back_far_takes_the_schedule_along() -> None:
    it = rig()
    it.at(10_000)
    it.at(-3_600_000)
    it.at(-3_598_000)
    assert it.times() == [*range(0, 10_001, 1000), -3_599_000, -3_598_000]
    assert it.totals.given_up == 0


@pytest.mark.parametrize(("count", "interval", "wait"), [(1, "1h", 1.0), (1, "100ms", 0.1)])
def test_it_sleeps_until_the_next_is_due(count: int, interval: str, wait: float) -> None:
    it = rig(count=count, interval=interval)
    it.now = it.schedule.start_ms
    assert it.publishing.step() == pytest.approx(wait)


def test_it_wakes_no_more_than_50_times_a_second() -> None:
    it = rig(count=1000)
    assert it.publishing.step() == pytest.approx(0.02)
    it.outlet.room = 0
    it.now += 500
    assert it.publishing.step() == pytest.approx(0.02)


@examples(200)
@given(
    st.integers(1, 40),
    st.sampled_from(["10ms", "250ms", "1s", "7s"]),
    st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 3_000)), max_size=25),
)
def test_nothing_is_lost_duplicate_or_numbered_twice(
    count: int, interval: str, moments: list[tuple[int, int]]
) -> None:
    it = rig(count=count, interval=interval, room=0)
    after = 0
    for wait, acknowledged in moments:
        after += wait
        it.outlet.room += acknowledged
        it.at(after)
    times = it.times()
    assert times == sorted(times)
    due, passed = it.schedule.due(it.now), it.publishing._next_slot
    assert it.totals.published == len(times) * len(NAMES)
    assert it.totals.published + it.totals.given_up == passed * len(NAMES)
    assert passed <= due
    behind = due - passed
    assert behind == 0 or it.outlet.room < len(NAMES)
    assert behind == 0 or it.now - it.schedule.time_of(passed) <= PATIENCE
