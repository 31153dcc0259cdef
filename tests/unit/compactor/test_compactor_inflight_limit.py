"""The in-flight limit as learned, against a simulated broker. Times are simulated, too."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest
from sensorpipe_compactor.inflight_limit import InFlightLimit
from sensorpipe_runtime.mqtt.frames import MAX_IN_FLIGHT

TICK, WINDOW, LATENESS = 50, 10_000, 2_000

Arrivals = Callable[[int], int]
"""Messages that are published in a millisecond."""


def steadily(rate: int) -> Arrivals:
    return lambda ms: (ms + 1) * rate // 1_000 - ms * rate // 1_000


def at_random(rate: int) -> Arrivals:
    """Independent publishers: exponential pauses, the same ones at each call."""
    random, at = Random(rate), 0.0
    arrivals: Counter[int] = Counter()
    while at < 600_000:
        at += random.expovariate(rate / 1_000)
        arrivals[int(at)] += 1
    return lambda ms: arrivals.get(ms, 0)


def in_bursts(rate: int, every_s: int) -> Arrivals:
    """So many publishers that all publish at the same moments."""
    return lambda ms: rate * every_s if ms % (1_000 * every_s) == 371 else 0


def the_demo(ms: int) -> int:
    """Nine sensors, once in 5 s."""
    return 9 if ms % 5_000 == 137 else 0


@dataclass
class Pipeline:
    """A broker that lets `grants` messages be in flight, and the compactor's loop."""

    grants: int
    arrivals: Arrivals
    kafka_ms: int = 5
    overshoot: int = 0
    answers_after_ms: int = 0
    """How long the broker takes to go on once we have acknowledged."""
    in_flight_limit: InFlightLimit = field(default_factory=InFlightLimit)
    queued: int = 0
    held: list[int] = field(default_factory=list)
    early: int = 0
    delivered: int = 0
    longest_queue: int = 0
    _woken: bool = False
    _looks_at: int = 0
    _taken: int = 0
    _done_at: int | None = None
    _sends_at: int = 0

    def run(self, seconds: int, begin: int = 0) -> "Pipeline":
        arrivals = self.arrivals
        for ms in range(begin * 1_000, (begin + seconds) * 1_000):
            self.queued += arrivals(ms)
            if self.queued:
                self._deliver(ms)
            if self._done_at is None:
                if self._woken or ms >= self._looks_at:
                    self._look(ms)
            elif ms >= self._done_at:
                self._finish(ms)
            if self.queued:
                self.longest_queue = max(self.longest_queue, self.queued)
        return self

    def _deliver(self, ms: int) -> None:
        grants = self.grants + (self.overshoot if self.queued > 2 * self.grants else 0)
        count = min(self.queued, grants - len(self.held))
        if count <= 0 or ms < self._sends_at:
            return
        self.queued -= count
        self.delivered += count
        self.held += [ms] * count
        self.in_flight_limit.received(len(self.held), ms / 1_000)
        self._woken |= self.in_flight_limit.wants_flush(len(self.held), 1, ms / 1_000)

    def _look(self, ms: int) -> None:
        """Begin to write what is due, or everything where the limit wants it."""
        self._woken = False
        self._looks_at = ms + TICK
        everything = self.in_flight_limit.wants_flush(len(self.held), 1, ms / 1_000)
        due = (ms - LATENESS) // WINDOW * WINDOW
        self._taken = len(self.held) if everything else bisect_left(self.held, due)
        self.early += everything and self._taken > 0
        self._done_at = ms + (self.kafka_ms if self._taken else 0)

    def _finish(self, ms: int) -> None:
        """Acknowledge what Kafka has taken."""
        self._done_at = None
        if self._taken:
            self.in_flight_limit.acknowledged(len(self.held), ms / 1_000)
            self._sends_at = ms + self.answers_after_ms
        del self.held[: self._taken]
        self._looks_at = ms + TICK


@pytest.mark.parametrize(
    ("grants", "rate"), [(10, 50), (10, 400), (20, 200), (20, 1_000), (100, 1_000), (100, 4_000)]
)
@pytest.mark.parametrize("overshoot", [0, 15])
def test_with_any_broker_s_limit_messages_keep_flowing(grants: int, rate: int, overshoot: int):
    pipeline = Pipeline(grants, steadily(rate), overshoot=overshoot)
    pipeline.run(20)
    learned = pipeline.in_flight_limit.messages
    assert learned < 2 * (grants + overshoot)
    pipeline.longest_queue = 0
    delivered = pipeline.delivered
    pipeline.run(40, begin=20)
    assert pipeline.delivered - delivered >= 0.97 * 40 * rate
    assert pipeline.longest_queue < 0.5 * rate


@pytest.mark.parametrize("rate", [20, 300, 4_000])
def test_with_a_well_set_broker_windows_are_not_flushed_early(rate: int):
    pipeline = Pipeline(MAX_IN_FLIGHT, steadily(rate)).run(60)
    assert pipeline.in_flight_limit.messages == MAX_IN_FLIGHT
    assert pipeline.early == 0
    assert pipeline.queued == 0


def test_a_full_flight_is_flushed_before_it_is_full():
    pipeline = Pipeline(MAX_IN_FLIGHT, steadily(9_000), kafka_ms=50).run(30)
    assert pipeline.in_flight_limit.messages == MAX_IN_FLIGHT
    assert 1 <= pipeline.early <= 6
    assert pipeline.longest_queue < 9_000 * 0.05


def test_an_idle_pipeline_is_not_flushed_at_each_silence():
    pipeline = Pipeline(MAX_IN_FLIGHT, the_demo).run(600)
    assert pipeline.in_flight_limit.messages == MAX_IN_FLIGHT
    assert pipeline.early == 0
    assert pipeline.queued == 0


def test_the_demo_keeps_flowing_through_a_small_limit():
    pipeline = Pipeline(10, the_demo).run(600)
    assert pipeline.queued == 0
    assert pipeline.delivered == 9 * 120


def test_a_broker_that_grants_more_again_is_noticed():
    pipeline = Pipeline(20, steadily(500)).run(30)
    assert pipeline.in_flight_limit.messages <= 20
    pipeline.grants = MAX_IN_FLIGHT
    pipeline.run(900, begin=30)
    assert pipeline.in_flight_limit.messages >= 500 * (WINDOW + LATENESS) // 1_000
    early = pipeline.early
    pipeline.run(30, begin=930)
    assert pipeline.early == early


@pytest.mark.parametrize("rate", [3, 10, 40])
@pytest.mark.parametrize(
    "published",
    [steadily, at_random, lambda rate: in_bursts(rate, 1), lambda rate: in_bursts(rate, 2)],
    ids=["one publisher", "many", "many at once each second", "many at once each other second"],
)
def test_slow_traffic_makes_one_partial_a_window(published: Callable[[int], Arrivals], rate: int):
    pipeline = Pipeline(MAX_IN_FLIGHT, published(rate)).run(240)
    assert pipeline.in_flight_limit.messages == MAX_IN_FLIGHT
    assert pipeline.queued == 0
    assert pipeline.early <= (1 if published(rate)(371) > rate else 0)  # before it knows the pause


@pytest.mark.parametrize("every_s", [5, 10, 30])
def test_rare_bursts_are_flushed_early_once_before_their_pause_is_known(every_s: int):
    pipeline = Pipeline(MAX_IN_FLIGHT, in_bursts(20, every_s)).run(300)
    assert pipeline.in_flight_limit.messages == MAX_IN_FLIGHT
    assert pipeline.early <= 1


@pytest.mark.parametrize("answers_after_ms", [0, 150])
def test_a_limit_of_10_is_learned_within_three_seconds(answers_after_ms: int):
    pipeline = Pipeline(10, steadily(25), kafka_ms=5, answers_after_ms=answers_after_ms).run(3)
    assert pipeline.in_flight_limit.messages == 10


def test_traffic_that_slows_down_is_flushed_early_only_until_its_pauses_are_known():
    fast, slow = steadily(400), steadily(3)
    pipeline = Pipeline(MAX_IN_FLIGHT, lambda ms: (fast if ms < 60_000 else slow)(ms)).run(600)
    assert pipeline.in_flight_limit.messages == MAX_IN_FLIGHT
    assert pipeline.early <= 1


def test_a_silence_across_a_reconnect_means_nothing():
    in_flight_limit = InFlightLimit()
    for at in (0.0, 0.1, 0.2):
        in_flight_limit.received(1, at)
    assert not in_flight_limit.wants_flush(12, 1, 1.1)
    assert not in_flight_limit.wants_flush(9, 1, 9.0)  # no broker grants fewer than 10
    assert in_flight_limit.wants_flush(12, 1, 1.3)
    in_flight_limit.reconnected()
    assert not in_flight_limit.wants_flush(12, 1, 9.0)
    in_flight_limit.received(12, 10.0)
    assert in_flight_limit.wants_flush(12, 1, 11.1)


def test_where_each_window_holds_few_messages_it_waits_for_more_of_them():
    limit = InFlightLimit()
    limit.received(50_000, 1.0)
    assert limit.wants_flush(50_000, 10, 1.0)
    assert not limit.wants_flush(50_000, 10_000, 1.0)
    assert limit.wants_flush(MAX_IN_FLIGHT - 3_000, 10_000, 1.0)
    limit.messages = 20  # a small limit is never nearly reached
    assert limit.wants_flush(15, 15, 1.0)
