"""What a start restores from Kafka, against a model of broker, Kafka and server.

The model's broker has ten messages in flight at the most, so that a few hundred
steps reach what takes hours in earnest: epochs that settle those before them,
reconnects that repeat, former instances that write after their successor began.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st
from sensorpipe_compactor import claim, restore, tail
from sensorpipe_compactor.claim import Claim
from sensorpipe_compactor.restore import SETTLING, Horizon
from sensorpipe_compactor.tail import Tail, Take
from sensorpipe_schema import partial
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading
from sensorpipe_schema.moments import Moments
from sensorpipe_schema.mqtt import inbox as inbox_module
from sensorpipe_schema.mqtt.inbox import Inbox
from sensorpipe_schema.partial import MAX_IN_FLIGHT, Origin, Partial, Summary
from sensorpipe_schema.sketch import Sketch

NAME = "claimed"
FLIGHT = 10
PARTITIONS = [0, 1]


@dataclass
class Stored:
    """What a Kafka record has of interest."""

    partition: int
    offset: int
    value: bytes
    timestamp: int = field(default_factory=lambda: int(time.time() * 1000))


class Log:
    """The compacted topic."""

    def __init__(self) -> None:
        self.partitions: dict[int, list[Stored]] = {number: [] for number in PARTITIONS}

    def append(self, partition: int, made: Partial) -> int:
        records = self.partitions[partition]
        records.append(Stored(partition, len(records), partial.encode(made)))
        return len(records) - 1

    def counted(self) -> Counter[int]:
        """Return how often the server counts each reading, by the contract of fences."""
        counts: Counter[int] = Counter()
        last: dict[int, tuple[int, int]] = {}
        for records in self.partitions.values():
            fenced = 0
            for record in records:
                message = partial.parse(record.value)
                origin = message.origin
                if origin.compactor != NAME:
                    continue
                if not message.sensors:
                    fenced = max(fenced, origin.epoch)
                    continue
                newest = (origin.epoch, origin.number)
                window = message.window_start_ms
                if origin.epoch < fenced or newest <= last.get(window, (0, 0)):
                    continue
                last[window] = newest
                counts.update(readings_of(message))
        return counts


class LogTail(Tail):
    """Reads the model's log; everything but the client itself is the real thing."""

    def __init__(self, log: Log) -> None:
        self._topic = "log"
        self._log = log
        self._consumer: Any = self

    async def beginning_offsets(self, wanted: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(wanted, 0)

    async def partitions(self) -> list[int]:
        return PARTITIONS

    async def ends(self, partitions: list[int]) -> dict[int, int]:
        return {number: len(self._log.partitions[number]) for number in partitions}

    async def read(self, partition: int, start: int, end: int, take: Take) -> None:
        for record in self._log.partitions[partition][start:end]:
            take(record)


def readings_of(message: CompactedReading) -> list[int]:
    return [
        seq
        for entry in message.sensors
        for source in entry.sources
        for first, last in partial.pairs(source.bounds)
        for seq in range(first, last + 1)
    ]


def made(window: int, origin: Origin, readings: list[int]) -> Partial:
    count = len(readings)
    moments = Moments(count, 0.0, 0.0, 0.0, 0.0)
    sources = {"src": [(seq, seq) for seq in sorted(readings)]}
    summary = Summary(moments, Sketch(zeros=count), sources)
    return Partial("f", window * 10, window * 10 + 10, origin, {"s": summary})


@dataclass
class Broker:
    """One session: messages 1, 2, 3 … in order, redelivered until acknowledged."""

    acknowledged: int = 0
    next: int = 1

    def reconnect(self) -> None:
        self.next = self.acknowledged + 1

    def deliver(self, count: int) -> list[int]:
        end = min(self.next + count, self.acknowledged + FLIGHT + 1)
        sent = list(range(self.next, end))
        self.next = end
        return sent


class Instance:
    """One start of a compactor: what its parts do, without the network."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.epoch = self.number = 0
        self.inbox = Inbox()
        self.seen: set[int] = set()
        self.windows: dict[int, tuple[int, list[int]]] = {}

    def restore(self, message: CompactedReading) -> None:
        self.seen.update(readings_of(message))

    def take(self, sent: list[int]) -> None:
        before = self.inbox.received
        self.inbox.take([1] * len(sent))
        for number, reading in enumerate(sent, before + 1):
            if reading not in self.seen:
                self.seen.add(reading)
                self.windows.setdefault(reading // 3, (number, []))[1].append(reading)

    def partials(self, windows: list[int]) -> list[Partial]:
        """Hand out windows as partials."""
        handed = []
        for window in windows:
            _, readings = self.windows.pop(window)
            self.number += 1
            origin = Origin(NAME, self.epoch, self.number, self.inbox.at_qos_1)
            handed.append(made(window, origin, readings))
        return handed

    def acknowledgeable(self) -> int:
        lowest = min((number for number, _ in self.windows.values()), default=None)
        return self.inbox.received if lowest is None else lowest - 1


class World:
    """Plays what can happen to one compactor name."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.log, self.broker = Log(), Broker()
        self.late: list[Partial] = []
        self.start()

    def start(self) -> None:
        """Start a new instance; what the former one had under way may come at any time."""
        self.instance = Instance(self.log)
        claimed = Claim(NAME, self.instance.restore, self._write_fence)
        self.instance.epoch, _ = asyncio.run(claimed.make(LogTail(self.log)))
        self.broker.reconnect()

    async def _write_fence(self, partition: int, epoch: int) -> int:
        self.perhaps_late()
        return self.log.append(partition, partial.fence(NAME, epoch))

    def coin(self) -> bool:
        return self.data.draw(st.booleans())

    def perhaps_late(self) -> None:
        while self.late and self.coin():
            late = self.late.pop(0)
            self.log.append(late.window_start_ms // 10 % 2, late)

    def deliver(self) -> None:
        self.instance.take(self.broker.deliver(self.data.draw(st.integers(1, 2 * FLIGHT))))

    def flush(self) -> None:
        """Make some windows durable; then the acknowledgement arrives, or is lost."""
        open_windows = sorted(self.instance.windows)
        count = self.data.draw(st.integers(0, len(open_windows)))
        partials = self.instance.partials(open_windows[:count])
        for each in partials:
            self.log.append(each.window_start_ms // 10 % 2, each)
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
                self.log.append(each.window_start_ms // 10 % 2, each)
            elif fate == "late":
                self.late.append(each)
        self.start()

    def foreign(self) -> None:
        """Another compactor writes into the same partition."""
        number = self.data.draw(st.sampled_from(PARTITIONS))
        self.log.append(number, made(1, Origin("another", 1, 1), [1]))

    def check(self) -> None:
        counts = self.log.counted()
        doubled = {seq: count for seq, count in counts.items() if count > 1}
        assert not doubled
        assert not [seq for seq in range(1, self.broker.acknowledged + 1) if seq not in counts]


@pytest.fixture(autouse=True, scope="module")
def small() -> Any:
    """Scale the model down."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restore, "REPEATABLE", FLIGHT)
        patch.setattr(restore, "SETTLING", 2 * FLIGHT)
        patch.setattr(inbox_module, "REPEATABLE", FLIGHT)
        patch.setattr(tail, "_CHUNK", 2)
        yield


STEPS = {
    "deliver": 4,
    "flush": 3,
    "flush_and_lose_the_connection": 2,
    "reconnect": 1,
    "crash": 1,
    "foreign": 1,
}


@settings(max_examples=200, deadline=None)
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


def claimed(log: Log) -> tuple[int, list[int]]:
    """Return the epoch and all that is restored."""
    restored: list[int] = []

    async def write_fence(partition: int, epoch: int) -> int:
        return log.append(partition, partial.fence(NAME, epoch))

    one = Claim(NAME, lambda message: restored.extend(readings_of(message)), write_fence)
    epoch, ends = asyncio.run(one.make(LogTail(log)))
    assert ends == {number: len(log.partitions[number]) for number in PARTITIONS}
    return epoch, sorted(restored)


def test_what_a_former_instance_wrote_behind_a_fence_is_not_taken_for_durable():
    log = Log()
    old, _ = claimed(log)
    log.append(0, made(0, Origin(NAME, old, 1, 3), [1, 2, 3]))
    new, restored = claimed(log)
    assert restored == [1, 2, 3]
    log.append(0, made(2, Origin(NAME, old, 2, 6), [4, 5, 6]))  # the server does not count it
    newest, restored = claimed(log)
    assert restored == [1, 2, 3]
    assert old < new < newest


def test_a_late_partial_of_a_former_instance_does_not_end_the_search():
    log = Log()
    old, _ = claimed(log)
    new, _ = claimed(log)
    log.append(0, made(0, Origin(NAME, new, 1, 3 * FLIGHT), [7]))
    log.append(0, made(2, Origin(NAME, old, 1, 1), [8]))
    log.append(0, made(1, Origin("another", 1, 1), [1]))
    log.append(1, made(4, Origin(NAME, new, 2, 3 * FLIGHT + 1), [9]))
    assert claimed(log)[1] == [7, 9]


def test_an_epoch_rises_even_if_the_clock_went_back():
    log = Log()
    ahead = int(time.time() * 1e6) + 10**12
    log.append(1, partial.fence(NAME, ahead))
    assert claimed(log)[0] == ahead + 1
    assert claimed(log)[0] == ahead + 2


def test_the_search_ends_at_what_is_too_old_to_be_a_reading():
    log = Log()
    log.append(0, made(0, Origin(NAME, 1, 1, 1), [1]))
    for number in range(2, 9):
        log.append(0, made(number, Origin(NAME, 1, number, number), [number]))
    for record in log.partitions[0][:5]:
        record.timestamp -= claim._RETENTION_MS
    assert 1 not in claimed(log)[1]
    assert {6, 7, 8} <= set(claimed(log)[1])


def test_nothing_is_beyond_the_horizon_before_an_epoch_has_settled():
    horizon = Horizon()
    assert horizon.last_epoch == horizon.since == 0
    horizon.add(Origin(NAME, 1, 1, 2 * FLIGHT - 1))
    horizon.add(Origin(NAME, 2, 0, 0))
    assert horizon.last_epoch == 2
    assert not horizon.is_beyond(Origin(NAME, 1, 0, 0))
    horizon.add(Origin(NAME, 1, 2, SETTLING))
    assert horizon.since == 1
    assert SETTLING > 2 * MAX_IN_FLIGHT
    assert horizon.is_beyond(Origin(NAME, 1, 1, SETTLING - FLIGHT - 1))
    assert not horizon.is_beyond(Origin(NAME, 1, 1, SETTLING - FLIGHT))
    assert not horizon.is_beyond(Origin(NAME, 2, 0, 0))
