"""Generators that share a Sensor: each device is one's, with the values it would have anyway."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_generator.publishing import Publishing
from sensorpipe_generator.readings import Readings
from sensorpipe_generator.schedule import Schedule
from sensorpipe_generator.settings import Share
from sensorpipe_schema.sensor import Sensor
from support.sensors import changed


def sensor(count: int) -> Sensor:
    made: dict[str, Any] = changed(
        "spec.measurements[1].signal", {"randomWalk": {"start": 0, "step": 1}}
    )
    made["spec"] |= {"count": count, "interval": "1s"}
    return Sensor.parse(made)


def ticks(made: Sensor, share: range, number: int) -> dict[str, Counter[tuple[int, float]]]:
    """Return (time, value) of each reading of the first ticks, by topic."""
    schedule = Schedule(0, made.spec.interval_ms, made.spec.count, share)
    last = number * schedule.count
    batches = Readings(made, "run", share).batches(schedule, 0, last, 1)
    decoded = {topic: [msgspec.json.decode(payload) for payload in held] for topic, held in batches}
    for readings in decoded.values():
        assert [reading["seq"] for reading in readings] == list(range(1, last + 1))
    return {topic: Counter((r["ts"], r["val"]) for r in held) for topic, held in decoded.items()}


@given(count=st.integers(1, 40), generators=st.integers(1, 12))
def test_together_they_publish_what_one_would(count: int, generators: int) -> None:
    made = sensor(count)
    whole = ticks(made, range(count), 3)
    parts = [ticks(made, Share(i, generators).of(count), 3) for i in range(generators)]
    assert {topic: sum((part[topic] for part in parts), Counter()) for topic in whole} == whole


@given(count=st.integers(1, 10**5), generators=st.integers(1, 100))
def test_shares_are_even_and_do_not_overlap(count: int, generators: int) -> None:
    shares = [Share(i, generators).of(count) for i in range(generators)]
    assert [share.stop for share in shares[:-1]] == [share.start for share in shares[1:]]
    assert (shares[0].start, shares[-1].stop) == (0, count)
    sizes = {len(share) for share in shares}
    assert max(sizes) - min(sizes) <= 1


@given(
    count=st.integers(1, 50),
    generators=st.integers(1, 9),
    index=st.integers(0, 8),
    now=st.integers(-5000, 20_000),
)
def test_due_is_the_number_of_slots_whose_time_has_come(
    count: int, generators: int, index: int, now: int
) -> None:
    share = Share(index % generators, generators).of(count)
    schedule = Schedule(0, 700, count, share)
    due = schedule.due(now)
    assert due == sum(1 for slot in range(len(share) * 40) if schedule.time_of(slot) <= now)


class Nowhere:
    room = 100

    def publish(self, topic: str, payloads: list[bytes]) -> None:
        raise AssertionError((topic, payloads))


def test_more_generators_than_devices_leave_some_idle() -> None:
    made, share = sensor(1), Share(0, 3).of(1)
    assert not share
    it = Publishing(
        Readings(made, "run", share),
        Schedule(0, 1000, 1, share),
        Nowhere(),
        give_up_after_ms=1000,
        clock_ms=lambda: 10**6,
    )
    assert it.step() == 1.0


@pytest.mark.parametrize("text", ["", "1", "1/1", "3/2", "-1/2", "0/0", "a/b", "0/1/2", "²/3"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be INDEX/GENERATORS, such as 0/3; got"):
        Share.parse(text)
    assert Share.parse("1/3").of(9) == range(3, 6)
