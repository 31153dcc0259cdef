"""Windows against a plain batch computation, whatever comes in whatever order."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_compactor.output.dividing import halves
from sensorpipe_compactor.windowing.buffers import Window
from sensorpipe_compactor.windows import Windows
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_schema.intervals import Interval
from sensorpipe_schema.reading import Reading
from support.examples import examples
from support.window_parts import (
    NOW,
    WINDOW,
    Where,
    buckets,
    of,
    remembering,
    take_all,
    when,
    windows,
)


@dataclass(frozen=True)
class Sent:
    """A reading with its topic; `val` tells readings apart."""

    facility: str
    sensor: str
    src: str | None
    seq: int
    ts: int
    val: float

    @property
    def where(self) -> Where:
        return self.facility, self.ts - self.ts % WINDOW, self.sensor

    def message(self) -> Message:
        return of(Reading(self.ts, self.val, self.src, self.seq), self.facility, self.sensor)


@dataclass
class Tally:
    """What the windows handed out so far hold, or ought to."""

    values: dict[Where, Counter[float]] = field(default_factory=lambda: defaultdict(Counter))
    seqs: dict[tuple[Where, str], Counter[int]] = field(
        default_factory=lambda: defaultdict(Counter)
    )

    def take(self, handed: list[Window]) -> None:
        for window in handed:
            assert window.end_ms == window.start_ms + WINDOW
            assert window.count > 0
            for sensor, bucket in buckets(window).items():
                where = window.facility, window.start_ms, sensor
                self.values[where].update(bucket.values)
                for src, intervals in bucket.intervals_by_src.items():
                    self.seqs[where, src].update(seqs_of(intervals))

    def fold(self, handed: list[Window]) -> None:
        """Take windows as the store does: of the itemized ones, what no other holds."""
        self.take([window for window in handed if not window.itemized])
        for window in handed:
            for sensor, bucket in buckets(window).items() if window.itemized else ():
                where = window.facility, window.start_ms, sensor
                for src, portion in bucket.portions.items():
                    assert src is not None
                    held = self.seqs[where, src]
                    seqs = seqs_of(portion.intervals)
                    for seq, value in zip(seqs, portion.values, strict=True):
                        if seq not in held:
                            held[seq] += 1
                            self.values[where][value] += 1

    def expect(self, sent: Sent) -> None:
        self.values[sent.where][sent.val] += 1
        if sent.src is not None:
            self.seqs[sent.where, sent.src][sent.seq] += 1


def seqs_of(intervals: Iterable[Interval]) -> list[int]:
    return [seq for first, last in intervals for seq in range(first, last + 1)]


def is_acknowledgeable(number: int, taken: Windows) -> bool:
    lowest = taken.lowest_number()
    return lowest is None or number < lowest


@st.composite
def streams_of_readings(draw: st.DrawFn, *, identified: bool = False) -> list[Sent]:
    """Readings of several publishers, numbered without gaps; then shuffled, repeated, late."""
    sent: list[Sent] = []
    value = itertools.count(1)
    for _ in range(draw(st.integers(1, 4))):
        facility = draw(st.sampled_from(["f", "g"]))
        sensor = draw(st.sampled_from(["s", "t"]))
        src = draw(st.sampled_from(["a", "b"] if identified else ["a", "b", None]))
        ts = NOW + draw(st.integers(-40_000, 10_000))
        step = draw(st.sampled_from([1, 700, 4_000]))
        first = 1 + max(
            (s.seq for s in sent if (s.facility, s.sensor, s.src) == (facility, sensor, src)),
            default=0,
        )
        for seq in range(first, first + draw(st.integers(1, 12))):
            number = seq if src is not None else 0
            sent.append(Sent(facility, sensor, src, number, ts, float(next(value))))
            ts += step
    repeated = draw(st.lists(st.sampled_from(sent), max_size=8))
    everything = sent + [each for each in repeated if each.src is not None]
    disorder = draw(st.sampled_from(["as sent", "shuffled", "swapped"]))
    if disorder == "shuffled":
        return draw(st.permutations(everything))
    if disorder == "swapped":
        for at in (
            draw(st.lists(st.integers(1, len(everything) - 1), max_size=5))
            if (len(everything) > 1)
            else []
        ):
            everything[at - 1], everything[at] = everything[at], everything[at - 1]
    return everything


moments = st.lists(
    st.tuples(
        st.integers(1, 7),  # messages in the batch
        st.integers(0, 9_000),  # how far the clock goes on
        st.sampled_from(["go on", "go on", "take due", "take all"]),
    ),
    min_size=1,
    max_size=12,
)


@examples(250)
@given(streams_of_readings(), moments)
def test_every_distinct_reading_is_in_its_window_once(
    readings: list[Sent], batches: list[tuple[int, int, str]]
):
    taken, found, expected = windows(), Tally(), Tally()
    keys: set[tuple[str, str, str, int]] = set()
    handed: set[float] = set()
    duplicates = at = 0
    now = NOW
    for size, pause, step in itertools.cycle(batches):
        batch = readings[at : at + size]
        taken.add([each.message() for each in batch], at, when(now))
        at, now = at + len(batch), now + pause
        for each in batch:
            key = each.facility, each.sensor, each.src or "", each.seq
            if each.src is not None and key in keys:
                duplicates += 1
                continue
            keys.add(key)
            expected.expect(each)
        if step != "go on":
            out = taken.take_due(when(now)) if step == "take due" else take_all(taken)
            found.take(out)
            handed.update(v for w in out for b in buckets(w).values() for v in b.values)
        for number, each in enumerate(readings[:at], 1):
            assert not is_acknowledgeable(number, taken) or each.val in handed
        if at == len(readings):
            break
    found.take(take_all(taken))
    assert found == expected
    assert taken.duplicates == duplicates
    assert taken.dead_letters == []
    assert len(taken.open) == 0
    assert taken.lowest_number() is None


class Restarted:
    """A compactor that is killed now and then, before a broker that sends again.

    It remembers two sources, and three intervals of each.
    """

    def __init__(self, readings: list[Sent]) -> None:
        self.readings = readings
        self.durable: list[Window] = []
        self.acknowledged = 0
        self.now = NOW
        self.start()

    def start(self) -> None:
        """Learn up to which time all is durable; the broker sends what is unacknowledged again."""
        self.windows = windows(remembering(2, 3))
        newest_ms = max((window.end_ms for window in self.durable), default=0)
        self.windows.sources.new_source_horizon_ms = newest_ms
        self.offset = self.at = self.acknowledged

    def receive(self, size: int) -> None:
        batch = self.readings[self.at : self.at + size]
        self.windows.add([each.message() for each in batch], self.at - self.offset, when(self.now))
        self.at += len(batch)

    def flush(self, step: str, kept: int, *, acknowledge: bool) -> None:
        """Make windows durable: all and acknowledge, or only some before the end comes."""
        windows = self.windows
        out = windows.take_due(when(self.now)) if step == "take due" else take_all(windows)
        out = [part for window in out for part in split(window)]
        self.durable += out if acknowledge else out[:kept]
        if acknowledge:
            lowest = windows.lowest_number()
            through = self.at if lowest is None else self.offset + lowest - 1
            self.acknowledged = max(self.acknowledged, through)
        else:
            self.start()


def split(window: Window) -> list[Window]:
    """Return a window in halves of halves, as Kafka may take it."""
    parts = halves(window)
    return [window] if parts is None else [each for half in parts for each in split(half)]


@examples(250)
@given(
    streams_of_readings(identified=True),
    moments,
    st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=10),
)
def test_with_restarts_in_between_each_identified_reading_counts_once(
    readings: list[Sent], batches: list[tuple[int, int, str]], fates: list[tuple[bool, int]]
):
    """Whatever is sent again, soon or late, and whatever is forgotten until then."""
    played = Restarted(readings)
    plan = zip(itertools.cycle(batches), itertools.cycle(fates), range(100), strict=False)
    for (size, pause, step), (survives, kept), _ in plan:
        played.receive(size)
        played.now += pause
        if step != "go on":
            played.flush(step, kept, acknowledge=survives)
    played.receive(len(readings))
    played.flush("take all", 0, acknowledge=True)
    assert played.acknowledged == len(readings)
    found, expected = Tally(), Tally()
    found.fold(played.durable)
    for each in dict.fromkeys(readings):
        expected.expect(each)
    assert found.values == expected.values
    assert {where: seqs for where, seqs in found.seqs.items() if seqs} == expected.seqs
