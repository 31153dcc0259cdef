"""What a start learns from Kafka, against a model of publishers, broker, Kafka and server.

The model's broker has ten messages in flight at the most, so that a few hundred steps reach
what takes hours in earnest: reconnects that repeat, former instances that write after their
successor began, publishers that send again what was counted long ago, records that Kafka
deletes, a topic made anew.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_compactor.clock_check import Instant
from sensorpipe_compactor.epoch import tail
from sensorpipe_compactor.epoch.claim import Claim, FencedError, is_rival, new_run
from sensorpipe_compactor.epoch.horizon import Horizon
from sensorpipe_schema import partial
from sensorpipe_schema.partial import Origin, Partial
from support.claim_instance import Agreeing, Instance, scaled_down
from support.claim_log import NAME, PARTITIONS, SPAN, Log, LogTail, Stored, made
from support.examples import examples

FLIGHT = 10


@dataclass
class Broker:
    """One session: messages in order, redelivered until acknowledged."""

    queue: list[int] = field(default_factory=list)
    """The readings; some are sent again by their publisher as new messages."""
    acknowledged: int = 0
    next: int = 0

    def reconnect(self) -> None:
        self.next = self.acknowledged

    def deliver(self, count: int) -> list[int]:
        end = min(self.next + count, self.acknowledged + FLIGHT)
        while len(self.queue) < end:
            self.queue.append(max(self.queue, default=0) + 1)
        sent = self.queue[self.next : end]
        self.next = max(self.next, end)
        return sent


class World:
    """Plays what can happen to one compactor name."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.log, self.broker = Log(), Broker()
        self.late: list[tuple[Partial, int | None]] = []
        self.start()

    def start(self) -> None:
        """Start a new instance; what the former one had under way may come at any time."""
        self.instance = instance = Instance()
        claim = Claim(NAME, instance.run, self._write_fence)
        instance.ends = asyncio.run(claim.fence(LogTail(self.log), PARTITIONS))
        instance.horizon = Horizon(claim.newest_ms, is_known=bool(claim.is_known))
        self.broker.reconnect()

    async def _write_fence(self, partition: int, fence: Partial, covers: int | None) -> int:
        self.perhaps_late()
        return self.log.append(partition, fence, covers)

    def coin(self) -> bool:
        return self.data.draw(st.booleans())

    def perhaps_late(self) -> None:
        while self.late and self.coin():
            late, covers = self.late.pop(0)
            self.log.append(late.window_start_ms // SPAN % 2, late, covers)

    def append(self, each: Partial) -> None:
        partition = each.window_start_ms // SPAN % 2
        offset = self.log.append(partition, each, self.covers(partition))
        self.instance.ends[partition] = offset + 1

    def covers(self, partition: int) -> int | None:
        return self.instance.ends[partition] if self.instance.horizon.is_sure else None

    def confirm(self) -> None:
        """Sources confirm the clock, which sets the horizon where Kafka did not tell it."""
        now = Instant(max(self.broker.queue, default=0), 0)
        self.instance.horizon.look(now, Agreeing())

    def deliver(self) -> None:
        self.instance.take(self.broker.deliver(self.data.draw(st.integers(1, 2 * FLIGHT))))

    def send_again(self) -> None:
        """A publisher was not told that its readings arrived, however long ago."""
        queue = self.broker.queue
        if queue:
            first = self.data.draw(st.integers(0, len(queue) - 1))
            self.broker.queue += queue[first : first + FLIGHT]

    def flush(self) -> None:
        """Make some windows durable; then the acknowledgement arrives, or is lost."""
        open_windows = sorted(self.instance.windows)
        count = self.data.draw(st.integers(0, len(open_windows)))
        for each in self.instance.partials(open_windows[:count]):
            self.append(each)
        through = self.instance.acknowledgeable()
        self.broker.acknowledged += len(self.instance.inbox.acknowledge(through)) // 4
        self.perhaps_late()

    def flush_and_lose_the_connection(self) -> None:
        acknowledged = self.broker.acknowledged
        self.flush()
        self.broker.acknowledged = acknowledged
        self.reconnect()

    def reconnect(self) -> None:
        self.instance.inbox.connected()
        self.broker.reconnect()

    def crash(self) -> None:
        """Kill it in a flush: any of its partials may be durable, or come late, or never."""
        for each in self.instance.partials(sorted(self.instance.windows)):
            fate = self.data.draw(st.sampled_from(["durable", "late", "never"]))
            if fate == "durable":
                self.append(each)
            elif fate == "late":
                partition = each.window_start_ms // SPAN % 2
                self.late.append((each, self.covers(partition)))
        self.start()

    def expire(self) -> None:
        """Kafka deletes what it has kept for long enough: all of a partition, or some."""
        partition = self.data.draw(st.sampled_from(PARTITIONS))
        begin, end = self.log.begins[partition], len(self.log.partitions[partition])
        self.log.begins[partition] = self.data.draw(st.integers(begin, end))

    def remake(self) -> None:
        """The topic is deleted and made anew: a compactor that notices ends, and starts again."""
        self.log.remake()
        self.late.clear()
        self.crash()

    def foreign(self) -> None:
        """Another compactor writes into the same partition."""
        number = self.data.draw(st.sampled_from(PARTITIONS))
        self.log.append(number, made(1, Origin("another", 1, 1, 10**9), [1]), 10**9)

    def check(self) -> None:
        certain = self.log.certain
        assert not {seq: count for seq, count in certain.items() if count > 1}
        counted = certain.keys() | self.log.itemized
        assert not set(self.broker.queue[: self.broker.acknowledged]) - counted


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Scale the model down."""
    with scaled_down():
        yield


STEPS = {
    "confirm": 2,
    "deliver": 4,
    "flush": 3,
    "flush_and_lose_the_connection": 2,
    "reconnect": 1,
    "crash": 2,
    "foreign": 1,
    "send_again": 1,
    "expire": 1,
    "remake": 1,
}


@examples(200)
@given(
    st.lists(
        st.sampled_from([name for name, weight in STEPS.items() for _ in range(weight)]),
        min_size=20,
        max_size=80,
    ),
    st.data(),
)
def test_whatever_happens_each_acknowledged_reading_counts_once(
    steps: list[str], data: st.DataObject
):
    world = World(data)
    for step in steps:
        getattr(world, step)()
        world.check()
    for _ in range(40):
        world.deliver()
        world.flush()
    world.check()


async def claimed(log: Log, *, is_known: bool | None = None) -> Claim:
    """Return a claim that was made; with `is_known` it knows what was before it."""

    async def write_fence(partition: int, fence: Partial, covers: int | None) -> int:
        return log.append(partition, fence, covers)

    one = Claim(NAME, new_run(), write_fence, is_known=is_known)
    ends = await one.fence(LogTail(log), PARTITIONS)
    assert ends == {number: len(log.partitions[number]) for number in PARTITIONS}
    return one


async def test_what_a_successor_learned_is_not_hidden_by_a_late_record_of_its_predecessor():
    log = Log()
    old = await claimed(log, is_known=True)
    new = await claimed(log)
    newest = new.newest_ms + 100
    log.append(0, made(1, Origin(NAME, new.run, 1, newest), [4]), 2)
    log.append(1, partial.fence("another", 1), 0)
    late = Origin(NAME, old.run, 1, old.newest_ms)
    log.append(0, made(0, late, [1]), 1)  # the server does not count it
    assert (await claimed(log)).newest_ms == newest


async def test_little_is_read_back():
    log = Log()
    old = await claimed(log, is_known=True)
    for number in range(1, 1_001):
        origin = Origin(NAME, old.run, number, 10**12)
        log.append(0, made(number, origin, [number]), len(log.partitions[0]))
    read: list[int] = []

    async def write_fence(partition: int, fence: Partial, covers: int | None) -> int:
        return log.append(partition, fence, covers)

    one = Claim(NAME, new_run(), write_fence, lambda record: read.append(record.offset))
    await one.fence(LogTail(log), PARTITIONS)
    assert one.newest_ms == 10**12
    assert len(read) < 10


async def test_a_run_that_knows_of_nothing_before_it_tells_nothing():
    log = Log()
    assert not (await claimed(log)).is_known
    assert not (await claimed(log)).is_known  # once the second took the first's horizon for certain
    log.append(1, partial.fence(NAME, 1, 7), 1)
    assert (await claimed(log)).is_known


async def test_where_the_search_ends_without_a_record_nothing_is_reported(
    monkeypatch: pytest.MonkeyPatch,
):
    log = Log()
    await claimed(log, is_known=True)
    for _ in range(50):
        log.append(0, partial.fence("another", 1), 0)
    assert (await claimed(log)).is_known
    for _ in range(50):
        log.append(0, partial.fence("another", 1), 0)
    monkeypatch.setattr(tail, "_MAX_BACK", 20)
    assert not (await claimed(log)).is_known


def contended(log: Log, rounds: int) -> Claim:
    """Return a claim behind whose fence another run writes its own, so many times."""
    left = [rounds] * len(PARTITIONS)

    async def write_fence(partition: int, fence: Partial, covers: int | None) -> int:
        offset = log.append(partition, fence, covers)
        if left[partition]:
            left[partition] -= 1
            log.append(partition, partial.fence(NAME, 1), 0)
        return offset

    return Claim(NAME, new_run(), write_fence)


async def test_of_two_that_begin_at_once_one_writes_its_fences_again():
    log = Log()
    log.append(0, partial.fence(NAME, 5), 0)
    one = contended(log, 2)
    ends = await one.fence(LogTail(log), PARTITIONS)
    assert ends == {number: len(log.partitions[number]) for number in PARTITIONS}
    for records in log.partitions.values():
        assert partial.parse(records[-1].value).origin.run == one.run


async def test_a_run_that_others_shut_out_again_and_again_gives_up():
    log = Log()
    with pytest.raises(FencedError, match="only one may run under a name"):
        await contended(log, 3).fence(LogTail(log), PARTITIONS)


@pytest.mark.parametrize(
    ("made_by", "expected"),
    [
        (partial.fence(NAME, 2), True),
        (partial.fence(NAME, 1), False),
        (partial.fence("another", 2), False),
        (made(1, Origin(NAME, 2, 1), [1]), False),
    ],
)
def test_a_rival_is_another_run_s_fence(made_by: Partial, *, expected: bool):
    record: Any = Stored(0, 0, partial.encode(made_by), [])
    assert is_rival(record, NAME, 1) is expected
