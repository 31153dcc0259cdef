"""Windows divided so that Kafka takes the partial of each: nothing is lost or counted twice."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_compactor.output.dividing import halves
from sensorpipe_compactor.windowing.buffers import Window
from sensorpipe_schema.names import COMPACTED, DEAD_READINGS
from sensorpipe_schema.reading import Reading
from support.compactor_bench import Bench, publish
from support.partials import decode
from support.window_parts import NOW, buckets, of, take_all, when, windows

Held = Counter[tuple[str, str | None, float, int]]


def window(sources: dict[str, dict[str | None, int]]) -> Window:
    """Return a window of so many readings by sensor and source, each value one more."""
    taken = windows()
    value = 0.0
    for sensor, counts in sources.items():
        for src, count in counts.items():
            for seq in range(1, count + 1):
                taken.add(
                    [of(Reading(NOW, value, src, seq if src else 0), "f", sensor)], 0, when(NOW)
                )
                value += 1
    (made,) = take_all(taken)
    return made


def held(made: Window) -> Held:
    """Return sensor, source, value and `seq` of each reading; 0 for those without identity."""
    found = Held()
    for sensor, bucket in buckets(made).items():
        for src, portion in bucket.portions.items():
            seqs = [seq for first, last in portion.intervals for seq in range(first, last + 1)]
            each = zip(portion.values, seqs or [0] * len(portion.values), strict=True)
            found.update((sensor, src, value, seq) for value, seq in each)
    return found


@given(
    st.dictionaries(
        st.sampled_from("stu"),
        st.dictionaries(st.sampled_from(["a", "b", "c", None]), st.integers(1, 4), min_size=1),
        min_size=1,
    )
)
def test_halves_hold_what_the_whole_held(sources: dict[str, dict[str | None, int]]):
    whole = window(sources)
    left, done = [whole], []
    while left:
        one = left.pop()
        divided = halves(one)
        if divided is None:
            done.append(one)
            continue
        assert sum(half.count for half in divided) == one.count
        assert all(half.count for half in divided)
        left += divided
    assert sum((held(part) for part in done), Counter()) == held(whole)
    assert all(part.count == 1 for part in done)


def counted(bench: Bench) -> tuple[int, Counter[tuple[str, int]]]:
    """Return how many readings the partials hold, and how often each identified one."""
    total, seqs = 0, Counter[tuple[str, int]]()
    for record in bench.kafka.records:
        if record.topic == COMPACTED:
            for summary in decode(record.value).sensors.values():
                total += summary.moments.count
                for src, intervals in summary.sources.items():
                    seqs.update(
                        (src, n) for first, last in intervals for n in range(first, last + 1)
                    )
    return total, seqs


async def test_a_partial_that_kafka_does_not_take_is_written_in_several():
    bench = Bench()
    bench.kafka.takes_bytes = 2_000
    now = bench.now_ms
    readings = [Reading(now, float(n), f"source-{n}", 1) for n in range(200)]
    bench.give([of(reading) for reading in readings])
    await bench.flush(everything=True)
    total, seqs = counted(bench)
    assert (total, seqs) == (200, {(f"source-{n}", 1): 1 for n in range(200)})
    assert all(record.size <= 2_000 for record in bench.kafka.records)
    numbers = [origin.number for origin in bench.kafka.origins()]
    assert numbers == sorted(set(numbers))
    assert bench.acknowledged == 200
    assert (bench.compactor.readings, bench.compactor.partials) == (200, len(numbers))


async def test_gaps_of_one_source_are_no_reason_for_a_dead_letter():
    """A record holds a few hundred intervals of the 20,000; once all of it was a dead letter."""
    bench = Bench()
    bench.kafka.takes_bytes = 2_000
    now = bench.now_ms
    bench.give([publish("sensor_readings/f/s", now, 2 * n) for n in range(1, 20_001)])
    await bench.flush(everything=True)
    total, seqs = counted(bench)
    assert (total, seqs) == (20_000, {("a", 2 * n): 1 for n in range(1, 20_001)})
    assert all(record.size <= 2_000 for record in bench.kafka.records)
    assert bench.compactor.dead_letters_waiting == 0
    assert bench.acknowledged == 20_000


LONG_SRC = "a" * 128
TOO_SMALL = 330
"""Bytes that the partial of a reading takes without a `src` of that length, and not with it."""


async def test_a_reading_that_is_too_large_is_a_dead_letter_and_acknowledged_with_it():
    bench = Bench()
    bench.kafka.takes_bytes = TOO_SMALL
    now = bench.now_ms
    bench.give([of(Reading(now, 1.0, LONG_SRC, seq)) for seq in (2, 3)])
    bench.give([publish("sensor_readings/g/s", now, 1)])
    bench.kafka.takes_dead = False
    await bench.flush(everything=True)
    assert counted(bench)[0] == 1
    assert bench.acknowledged == 0
    bench.kafka.takes_dead = True
    bench.compactor._dead_again_at = 0.0
    await bench.flush()
    letters = [record for record in bench.kafka.records if record.topic == DEAD_READINGS]
    assert len(letters) == 2
    headers = dict(letters[0].headers)
    assert headers["reason"] == b"partial_too_large"
    assert headers["detail"].endswith(b"max.message.bytes of the topic allows %d" % TOO_SMALL)
    assert b'"count": 1, "first_seq": 2, "last_seq": 2' in letters[0].value
    assert bench.acknowledged == 3


@pytest.mark.parametrize("max_bytes", [400, 10_000])
async def test_readings_without_identity_are_always_divided(max_bytes: int):
    bench = Bench()
    bench.kafka.takes_bytes = max_bytes
    now = bench.now_ms
    bench.give([of(Reading(now, 1.5**n)) for n in range(-200, 200)])
    await bench.flush(everything=True)
    assert counted(bench)[0] == 400


def wide(bench: Bench, facility: str = "f") -> None:
    """Deliver a reading whose partial is too large for a topic that is too small."""
    bench.give([of(Reading(bench.now_ms, 1.0, LONG_SRC, 1), facility)])


async def test_a_limit_that_was_raised_is_noticed_before_a_value_is_given_up():
    bench = Bench()
    bench.kafka._limit.max_bytes = TOO_SMALL  # learned while the topic took no more
    bench.kafka.tells_bytes = 1_000_000
    wide(bench)
    wide(bench, "g")
    await bench.flush(everything=True)
    assert counted(bench)[0] == 2  # once it was 0, and two dead letters
    assert bench.compactor.dead_letters_waiting == 0
    assert bench.acknowledged == 2
    assert bench.kafka.asked == 1


async def test_a_limit_that_is_reported_and_not_kept_to_ends_in_dead_letters():
    bench = Bench()
    bench.kafka.takes_bytes = bench.kafka._limit.max_bytes = TOO_SMALL
    bench.kafka.tells_bytes = 1_000_000
    wide(bench)
    wide(bench, "g")
    bench.kafka.takes_dead = False
    await bench.flush(everything=True)
    assert bench.compactor.dead_letters_waiting == 2
    assert bench.acknowledged == 0
    assert bench.kafka.asked == 1
    bench.kafka.takes_dead = True
    bench.compactor._dead_again_at = 0.0
    await bench.flush()
    assert bench.acknowledged == 2


async def test_what_can_be_divided_asks_for_no_limit():
    bench = Bench()
    bench.kafka._limit.max_bytes = 400
    now = bench.now_ms
    bench.give([of(Reading(now, 1.5**n)) for n in range(-200, 200)])
    await bench.flush(everything=True)
    assert (counted(bench)[0], bench.kafka.asked) == (400, 0)
