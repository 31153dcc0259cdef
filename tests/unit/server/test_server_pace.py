"""Work that nobody waits for rests long enough, and longer while something else is urgent."""

import asyncio

import pytest
from aiokafka import TopicPartition
from sensorpipe_server.ingest.membership import Membership
from sensorpipe_server.storage.pace import Pace


class Time:
    """A clock that goes on by work, and by rests, which it takes down."""

    def __init__(self) -> None:
        self.now = 100.0
        self.rests: list[float] = []

    def timer(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Rest."""
        self.rests.append(seconds)
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(asyncio, "sleep", made.sleep)
    return made


@pytest.mark.parametrize(
    ("busy", "behind", "share"),
    [(False, False, 0.25), (True, False, 0.05), (False, True, 0.6), (True, True, 0.05)],
)
async def test_work_takes_a_share_of_the_time(
    time: Time,
    busy: bool,  # noqa: FBT001
    behind: bool,  # noqa: FBT001
    share: float,
):
    pace, worked = Pace(timer=time.timer, busy=lambda: busy, behind=lambda: behind), 0.0
    for _ in range(300):
        time.now += 0.007
        worked += 0.007
        await pace.rest()
    assert worked / (time.now - 100.0) == pytest.approx(share)
    assert len(time.rests) == 100  # after 20 ms each


async def test_work_that_takes_more_anyway_takes_no_less_when_it_is_behind(time: Time):
    pace = Pace(0.8, time.timer, behind=lambda: True)
    time.now += 0.04
    await pace.rest()
    assert time.rests == pytest.approx([0.01])


async def test_what_becomes_urgent_counts_from_the_next_rest_on(time: Time):
    urgent = iter([False, True, False])
    pace = Pace(timer=time.timer, busy=lambda: next(urgent))
    for _ in range(3):
        time.now += 0.03
        await pace.rest()
    assert time.rests == pytest.approx([0.09, 0.57, 0.09])


async def test_no_rest_is_longer_than_a_second(time: Time):
    pace = Pace(timer=time.timer, busy=lambda: True)
    time.now += 30
    await pace.rest()
    assert time.rests == [1.0]


def test_more_waits_than_is_in_hand():
    membership, zero, one = Membership(), TopicPartition("t", 0), TopicPartition("t", 1)
    assert not membership.is_behind(0)
    membership.note_read(zero, 5, 2005)
    membership.note_read(one, 0, 2000)
    assert membership.is_behind(3999)
    assert not membership.is_behind(4000)
    membership.note_committed({zero: 2005})
    assert membership.is_behind(1999)
    assert not membership.is_behind(2000)
    membership.on_partitions_revoked(())
