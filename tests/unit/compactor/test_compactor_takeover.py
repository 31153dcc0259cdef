"""Topics that move from one compactor to another, against the model of `test_compactor_claim`.

The model's readings are numbers, and their own time: even ones of the topic that moves, odd ones of
one that stays. Whatever is killed, lost or sent again between the steps, each counts once.
"""

import asyncio
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_compactor.clock_check import Instant
from sensorpipe_compactor.epoch.claim import Claim
from sensorpipe_compactor.epoch.coverage import OTHERS_WRITE
from sensorpipe_compactor.epoch.horizon import Horizon
from sensorpipe_compactor.epoch.subscriptions import Subscriptions
from sensorpipe_schema.partial import Partial
from support.claim_instance import Agreeing, Instance, scaled_down
from support.claim_log import PARTITIONS, SPAN, Log, LogTail
from support.examples import examples

FLIGHT = 10
MOVES, STAYS = "moves/#", "stays/#"
_COINS = st.booleans()


class Side:
    """A compactor, its session at the broker, and the settings of its next start."""

    def __init__(self, data: st.DataObject | None, log: Log, name: str, *filters: str) -> None:
        self.queue: list[int] = []
        self.acknowledged = self.next = 0
        self.connected = False
        self.subscribed: set[str] = set()
        self.name, self.filters, self.taking_over = name, filters, False
        self._data, self._log = data, log
        self._late: list[tuple[Partial, int | None]] = []
        self.start()

    def start(self) -> None:
        """Start anew, with the settings that are wanted now; it has not connected then."""
        self.instance = instance = Instance(self.name)
        self._subscriptions = Subscriptions(self.filters, is_taking_over=self.taking_over)
        claim = Claim(self.name, instance.run, self._write_fence, self._subscriptions.note)
        instance.ends = asyncio.run(claim.fence(LogTail(self._log), PARTITIONS))
        is_known = bool(claim.is_known) and not self._subscriptions.others_may_write
        instance.horizon = Horizon(claim.newest_ms, is_known=is_known, is_shared=self.taking_over)
        self.connected, self.next = False, self.acknowledged

    async def _write_fence(self, partition: int, fence: Partial, covers: int | None) -> int:
        headers = [self._subscriptions.header()]
        if self._subscriptions.others_may_write:
            headers.append(OTHERS_WRITE)
        return self._log.append(partition, fence, covers, *headers)

    def connect(self) -> None:
        """Subscribe, then end former subscriptions; all that is not acknowledged comes again."""
        self.connected, self.next = True, self.acknowledged
        self.instance.inbox.connected()
        self.subscribed = set(self.filters)
        self._subscriptions.former_filters.clear()

    def deliver(self, most: int) -> None:
        if self.connected:
            end = min(self.next + most, self.acknowledged + FLIGHT, len(self.queue))
            self.instance.take(self.queue[self.next : end])
            self.next = max(self.next, end)

    def flush(self, most: int, *, answered: bool = True) -> None:
        """Make some windows durable; then the acknowledgement arrives, or is lost."""
        for each in self.instance.partials(sorted(self.instance.windows)[:most]):
            self._append(each, self._covers(each))
            while self._data is not None and self._late and self._data.draw(_COINS):
                self._append(*self._late.pop(0))
        acknowledged = len(self.instance.inbox.acknowledge(self.instance.acknowledgeable())) // 4
        if answered:
            self.acknowledged += acknowledged
        else:
            self.connected = False

    def crash(self) -> None:
        """Kill it in a flush: any of its partials may be durable, or come late, or never."""
        assert self._data is not None
        for each in self.instance.partials(sorted(self.instance.windows)):
            fate = self._data.draw(st.sampled_from(["durable", "late", "never"]))
            if fate == "durable":
                self._append(each, self._covers(each))
            elif fate == "late":
                self._late.append((each, self._covers(each)))
        self.start()

    def confirm(self, now: int) -> None:
        """Sources confirm the clock."""
        self.instance.horizon.look(Instant(now, 0), Agreeing())

    def _append(self, each: Partial, covers: int | None) -> None:
        header = self._subscriptions.header()
        partition = _partition(each)
        offset = self._log.append(partition, each, covers, header)
        if each.origin.run == self.instance.run:
            self.instance.ends[partition] = offset + 1

    def _covers(self, each: Partial) -> int | None:
        is_sure = self.instance.horizon.is_sure
        return self.instance.ends[_partition(each)] if is_sure else None


def _partition(each: Partial) -> int:
    return each.window_start_ms // SPAN % 2


class Move:
    """Plays what can happen while a topic moves from the compactor `a` to `b`."""

    is_paused = False
    """Whether publishers of the topic wait while nobody has it."""

    def __init__(self, data: st.DataObject) -> None:
        self.log = Log("a", "b")
        self.sides = (
            Side(data, self.log, "a", MOVES),
            Side(data, self.log, "b", STAYS),
        )
        self.step = 0
        self.published: list[int] = []
        self._data = data
        self._numbers = count(1)
        for side in self.sides:
            side.connect()

    def _draw(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def _side(self) -> Side:
        return self._data.draw(st.sampled_from(self.sides))

    def publish(self) -> None:
        only_what_moves = self._data.draw(_COINS)
        for _ in range(self._draw(1, FLIGHT)):
            number = next(self._numbers)
            if not (only_what_moves and number % 2):
                self._send(number)

    def _send(self, number: int) -> None:
        """The broker takes a reading: for sessions that have subscribed its topic, if any."""
        topic = STAYS if number % 2 else MOVES
        takers = [side for side in self.sides if topic in side.subscribed]
        if not takers and self.is_paused:
            return
        assert takers, "the broker keeps nothing for a topic that nobody has subscribed"
        self.published.append(number)
        for side in takers:
            side.queue.append(number)

    def send_again(self) -> None:
        """A publisher was not told that its readings arrived, however long ago."""
        if self.published:
            first = self._draw(1, len(self.published))
            for number in self.published[-first:][:FLIGHT]:
                self._send(number)

    def deliver(self) -> None:
        self._side().deliver(self._draw(1, 2 * FLIGHT))

    def flush(self) -> None:
        self._side().flush(self._draw(0, 6))

    def flush_and_lose_the_connection(self) -> None:
        self._side().flush(self._draw(0, 6), answered=False)

    def connect(self) -> None:
        self._side().connect()

    def crash(self) -> None:
        self._side().crash()

    def confirm(self) -> None:
        self._side().confirm(max(self.published, default=0))

    def go_on(self) -> None:
        """Take the next step, as soon as both are ready."""
        a, b = self.sides
        if not (a.connected and b.connected):
            return
        self.step += 1
        self.take_step(a, b)

    def take_step(self, a: Side, b: Side) -> None:
        if self.step == 1:
            b.filters, b.taking_over = (STAYS, MOVES), True
            b.crash()
        elif self.step == 2:
            a.filters = ("another/#",)
            a.crash()
        elif self.step == 3:
            b.taking_over = False
            b.crash()

    def check(self) -> None:
        """No reading counts twice."""
        assert not {number: times for number, times in self.log.certain.items() if times > 1}

    def finish(self) -> None:
        """All that was published is counted in the end."""
        for side in self.sides:
            side.connect()
            while side.acknowledged < len(side.queue):
                side.deliver(FLIGHT)
                side.flush(10**6)
                self.check()
        assert set(self.published) == self.log.certain.keys() | self.log.itemized


class MoveWithoutSetting(Move):
    """First nobody has the topic, and its publishers wait; then the other compactor has it."""

    is_paused = True

    def take_step(self, a: Side, b: Side) -> None:
        if self.step == 1:
            a.filters = ("another/#",)
            a.crash()
        elif self.step == 2:
            b.filters = (STAYS, MOVES)
            b.crash()


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Scale the model down."""
    with scaled_down():
        yield


STEPS = {
    "publish": 4,
    "send_again": 2,
    "deliver": 6,
    "flush": 4,
    "flush_and_lose_the_connection": 1,
    "connect": 3,
    "crash": 1,
    "confirm": 3,
    "go_on": 1,
}


@examples(300)
@given(
    st.lists(
        st.sampled_from([name for name, weight in STEPS.items() for _ in range(weight)]),
        min_size=40,
        max_size=150,
    ),
    st.data(),
)
def test_each_reading_of_a_topic_that_moves_counts_once(steps: list[str], data: st.DataObject):
    play(Move(data), steps)
    play(MoveWithoutSetting(data), steps)


def play(move: Move, steps: list[str]) -> None:
    for step in steps:
        getattr(move, step)()
        move.check()
    move.finish()


def test_readings_of_a_new_topic_may_be_newer_than_all_that_a_compactor_wrote():
    """It wrote nothing for a while, and the one that had the topic did."""
    log = Log("a", "b")
    former, latter = Side(None, log, "a", MOVES), Side(None, log, "b", STAYS)
    for side, old, new in ((former, 98, [100, 102]), (latter, 5, [7, 9])):
        side.connect()
        side.confirm(old)
        write(side, new)
    assert log.certain == {100: 1, 102: 1, 7: 1, 9: 1}
    latter.filters = (STAYS, MOVES)
    latter.start()
    latter.connect()
    write(latter, [100, 102])  # their publisher sends them again
    assert log.certain == {100: 1, 102: 1, 7: 1, 9: 1}
    assert log.itemized == {100, 102}


def write(side: Side, readings: list[int]) -> None:
    """Have a compactor receive readings, and write them."""
    side.queue += readings
    side.deliver(FLIGHT)
    side.flush(FLIGHT)
