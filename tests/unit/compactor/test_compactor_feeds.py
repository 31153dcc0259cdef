"""Messages of Feeds in the windows: what they become, and what keeps their acknowledgement back."""

import tracemalloc
from typing import Any

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_compactor.feeds.feed_set import FeedSet
from sensorpipe_compactor.feeds.intake import FeedIntake
from sensorpipe_compactor.partials.encoding import encode_partials
from sensorpipe_compactor.windowing.sources import MAX_SPARSE
from sensorpipe_compactor.windows import Windows
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_schema.partial import Origin, parse
from sensorpipe_schema.reading import Reading
from support.feeds import feed
from support.window_parts import NOW, buckets, of, take_all, when, windows

RULES = [{"sensor": "t", "at": "/t"}, {"sensor": "u", "at": "/u"}]


def with_feed(**spec: Any) -> tuple[Windows, FeedIntake]:
    """Return windows and the intake of one Feed, which takes `d/…`."""
    found, intake = windows(), FeedIntake()
    intake.use(FeedSet([feed(**{"readings": RULES, **spec})]))
    found.feeds = intake
    return found, intake


def sent(payload: str, topic: str = "d/x") -> Message:
    return mqtt5.PublishPacket(topic, payload.encode())


def held(found: Windows) -> dict[tuple[str, str], list[float]]:
    """Take all windows out, and return their values by facility and sensor."""
    values: dict[tuple[str, str], list[float]] = {}
    for window in take_all(found):
        for sensor, bucket in buckets(window).items():
            values.setdefault((window.facility, sensor), []).extend(bucket.values)
    return values


def test_a_message_gives_readings_of_several_sensors_beside_those_of_generators() -> None:
    found, intake = with_feed()
    native = of(Reading(NOW, 7.0, "a", 1))
    found.add([sent('{"t": 1, "u": 2}'), native, sent('{"t": 3}'), sent("{}")], 0, when(NOW))
    assert held(found) == {("x", "t"): [1.0, 3.0], ("x", "u"): [2.0], ("f", "s"): [7.0]}
    counts = intake.counts["test"]
    assert (counts.messages, counts.readings, counts.empty, counts.refused) == (3, 3, 1, 0)


def test_a_message_is_held_until_the_last_of_its_windows_is_taken_out() -> None:
    found, _ = with_feed(each="", time={"at": "/at", "format": "ms"})
    old, new = NOW - 20_000, NOW
    found.add([sent("[]", "d/y"), sent(f'[{{"t": 1, "at": {old}}}, {{"t": 2, "at": {new}}}]')],
              4, when(NOW))  # fmt: skip
    assert found.lowest_number() == 6
    due = found.take_due(when(NOW + 2_000))
    assert [window.start_ms for window in due] == [old]
    assert found.lowest_number() == 6, "the newer window still holds a reading of the message"
    assert len(take_all(found)) == 1
    assert found.lowest_number() is None


def test_an_empty_message_and_one_that_no_feed_takes_hold_nothing_back() -> None:
    found, intake = with_feed()
    found.add([sent("{}"), sent("x", "other/x"), sent('{"t": 1}', "d/$x")], 0, when(NOW))
    assert found.lowest_number() is None
    assert (intake.unclaimed, intake.counts["test"].empty) == (1, 2)
    assert not found.dead_letters


def test_a_topic_without_levels_is_no_reading_beside_feeds_too() -> None:
    found, intake = with_feed()
    found.add([sent('{"t": 1}', "sensor_readings")], 0, when(NOW))
    assert [letter.reason for letter in found.dead_letters] == ["bad_topic"]
    assert intake.unclaimed == 0


def test_long_topics_are_taken_and_not_remembered() -> None:
    found, intake = with_feed(identity="time", time={"at": "/at", "format": "ms"})
    tracemalloc.start()
    for number in range(200):
        topic = f"d/x{'y' * 60_000}{number % 100}"
        found.add([sent(f'{{"t": 1, "at": {NOW}}}', topic)], number, when(NOW))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2_000_000  # bytes; the topics have 12,000,000
    assert (intake.counts["test"].readings, found.duplicates) == (200, 100)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ('{"t": "warm", "at": %d}' % NOW, "not_a_number"),  # noqa: UP031  braces of JSON
        ('{"t": 1}', "no_time"),
        ('{"t": 1, "at": 1795653109}', "too_old"),
    ],
)
def test_a_dead_letter_names_the_feed(payload: str, reason: str) -> None:
    found, intake = with_feed(time={"at": "/at", "format": "ms"})
    found.add([sent(payload)], 6, when(NOW))
    (letter,) = found.take_dead_letters()
    assert (letter.reason, letter.feed, letter.number) == (reason, "test", 7)
    assert "Feed test: " in letter.detail
    assert intake.counts["test"].refused == 1
    assert found.lowest_number() is None


def test_one_old_reading_refuses_the_message_whole() -> None:
    found, _ = with_feed(each="", time={"at": "/at", "format": "ms"})
    found.add([sent(f'[{{"t": 1, "at": {NOW}}}, {{"t": 2, "at": 5}}]')], 0, when(NOW))
    assert [letter.reason for letter in found.dead_letters] == ["too_old"]
    assert held(found) == {}


def test_a_message_ahead_of_our_clock_waits_and_is_taken_once_that_is_right() -> None:
    found, intake = with_feed(time={"at": "/at", "format": "ms"})
    found.add([sent(f'{{"t": 1, "at": {NOW + 90_000}}}')], 0, when(NOW))
    assert found.lowest_number() == 1
    assert held(found) == {}
    found.judge_ahead(when(NOW + 40_000))
    assert held(found) == {("x", "t"): [1.0]}
    assert intake.counts["test"].messages == 1


def test_messages_without_a_time_of_their_own_say_nothing_of_our_clock() -> None:
    found, _ = with_feed()
    found.add([sent('{"t": 1}')], 0, when(NOW))
    assert found.clock.lead_ms(when(NOW)) is None
    timed, _ = with_feed(time={"at": "/at", "format": "ms"})
    timed.add([sent(f'{{"t": 1, "at": {NOW}}}')], 0, when(NOW))
    assert timed.clock.lead_ms(when(NOW)) == 0


COUNTER = {"src": ["/eui"], "seq": "/n"}


def identified(at: int, number: int = 0) -> Message:
    return sent(f'{{"t": 1, "u": 2, "at": {at}, "eui": "0a", "n": {number}}}')


@pytest.mark.parametrize("identity", ["time", COUNTER])
def test_what_comes_again_is_a_duplicate_whatever_lies_between(identity: Any) -> None:
    found, _ = with_feed(time={"at": "/at", "format": "ms"}, identity=identity)
    found.horizon.newest_ms = NOW - 60_000
    messages = [identified(NOW + n * 1_000, 7 * n) for n in (0, 2, 1, 0, 2, 1)]
    found.add(messages, 0, when(NOW + 5_000))
    assert held(found) == {("x", "t"): [1.0] * 3, ("x", "u"): [2.0] * 3}
    assert found.duplicates == 6


def test_without_an_identity_what_comes_again_counts_again() -> None:
    found, _ = with_feed(time={"at": "/at", "format": "ms"})
    found.add([identified(NOW)] * 2, 0, when(NOW))
    assert held(found) == {("x", "t"): [1.0] * 2, ("x", "u"): [2.0] * 2}


def test_a_partial_says_that_gaps_mean_nothing_and_older_readers_read_it() -> None:
    found, _ = with_feed(time={"at": "/at", "format": "ms"}, identity=COUNTER)
    found.add([identified(NOW, 4), of(Reading(NOW, 1.0, "a", 1), "x", "t")], 0, when(NOW))
    (window,) = take_all(found)
    message = parse(*encode_partials([window], Origin("c", 1, 1)))
    sources = [(each.sensor, source) for each in message.sensors for source in each.sources]
    sparse = {(sensor, source.src): source.sparse for sensor, source in sources}
    assert sparse == {("t", "0a"): True, ("t", "a"): False, ("u", "0a"): True}


@pytest.mark.parametrize("identity", ["time", COUNTER])
def test_what_is_remembered_of_a_device_is_bounded_and_the_rest_is_itemized(identity: Any) -> None:
    found, _ = with_feed(time={"at": "/at", "format": "ms"}, identity=identity)
    found.horizon.newest_ms = NOW - 600_000
    many = 2 * MAX_SPARSE + 2
    last = NOW + 60_000 * (many - 1)
    found.add([identified(NOW + 60_000 * n, 3 * n) for n in range(many)], 0, when(last))
    source = found.sources.by_topic["sensor_readings/x/t"]
    assert source.intervals <= MAX_SPARSE
    take_all(found)
    found.add([identified(NOW, 0), identified(last, 3 * (many - 1))], 500, when(last))
    (window,) = take_all(found)
    assert (window.start_ms, window.itemized) == (NOW, True), "the fold finds out"
    assert found.duplicates == 2, "the newest is remembered"


@pytest.mark.parametrize("identity", ["time", COUNTER])
@given(numbers=st.lists(st.integers(0, 40), max_size=MAX_SPARSE))
def test_each_is_counted_once_in_whatever_order_they_come(
    identity: Any, numbers: list[int]
) -> None:
    found, _ = with_feed(time={"at": "/at", "format": "ms"}, identity=identity)
    found.horizon.newest_ms = NOW - 60_000
    messages = [sent(f'{{"t": {n}, "at": {NOW + n}, "eui": "0a", "n": {n}}}') for n in numbers]
    found.add(messages, 0, when(NOW + 1_000))
    first = list(dict.fromkeys(numbers))
    behind = NOW if identity == "time" else 1
    windows = take_all(found)
    seqs, values = [], []
    for window in windows:
        (portion,) = buckets(window)["t"].portions.values()
        values += portion.values
        seqs += [n for low, high in portion.intervals for n in range(low, high + 1)]
    assert values == [float(n) for n in first]
    assert seqs == [n + behind for n in first]
    assert found.duplicates == len(numbers) - len(first)
    assert not any(window.itemized for window in windows)


@pytest.mark.parametrize("identity", ["time", COUNTER])
def test_many_gaps_in_one_window_take_a_bounded_memory(identity: Any) -> None:
    found, _ = with_feed(time={"at": "/at", "format": "ms"}, identity=identity)
    found.horizon.newest_ms = NOW - 60_000
    messages = [identified(NOW + 3 * n, 3 * n) for n in range(5 * MAX_SPARSE)]
    found.add(messages, 0, when(NOW + 2_000))
    source = found.sources.by_topic["sensor_readings/x/t"]
    assert source.intervals <= MAX_SPARSE
    assert sum(len(buckets(window)["t"].values) for window in take_all(found)) == 5 * MAX_SPARSE
    found.add([identified(NOW, 0), messages[-1]], 500, when(NOW + 2_000))
    (repeated,) = take_all(found)
    assert (repeated.itemized, found.duplicates) == (True, 2), "the fold finds out of the oldest"


ANYTHING = st.sampled_from(
    ["1", "null", "true", '"x"', '"7"', "1e308", "-1", "1" + "0" * 400, "{}", '[{"t": 1}]', '""',
     str(NOW), str(NOW // 1000), str(NOW + 100_000), str(2**63), '"2027-01-15T08:00:00Z"']
)  # fmt: skip
FEEDS: list[dict[str, Any]] = [
    {},
    {"time": {"at": "/at"}, "identity": "time"},
    {"time": {"at": "/at", "format": "ms"}, "identity": {"src": ["/eui"], "seq": "/n"}},
    {"readings": None, "numbers": {}, "time": {"at": "/at", "format": "s"}},
    {"readings": [{"sensor": "{/eui}", "at": "/t"}], "each": "/u", "facility": "{/eui}"},
]


@given(st.lists(st.tuples(*[ANYTHING] * 5), max_size=8))
def test_whatever_a_device_sends_all_of_it_is_written_or_refused(found: list[Any]) -> None:
    form = '{"t": %s, "u": %s, "at": %s, "eui": %s, "n": %s}'
    messages = [sent(form % values) for values in found]
    for spec in FEEDS:
        held_here, intake = with_feed(**spec)
        for step in range(2):
            held_here.add(messages, step * len(messages), when(NOW + step))
        held_here.judge_ahead(when(NOW + 400_000))
        written = 0
        for number, window in enumerate(take_all(held_here), 1):
            message = parse(*encode_partials([window], Origin("c", 1, number)))
            written += sum(each.count for each in message.sensors)
        counts = intake.counts["test"]
        assert counts.messages == 2 * len(messages)
        assert written + held_here.duplicates == counts.readings
        assert counts.refused == len(held_here.take_dead_letters())


def test_partials_carry_the_units_that_a_feed_names() -> None:
    """Also in a window that goes on as the last one did, and after a change of the Feed."""
    rules = [{"sensor": "t", "at": "/t", "unit": "°C"}, {"sensor": "u", "at": "/u"}]
    found, intake = with_feed(readings=rules)
    found.add([sent('{"t": 1, "u": 2}'), of(Reading(NOW, 7.0, "a", 1))], 0, when(NOW))
    found.add([sent('{"t": 3}')], 2, when(NOW + 20_000))
    assert units(found) == {"x": [{"t": "°C"}, {"t": "°C"}], "f": [{}]}
    renamed = [{"sensor": "{/kind}", "at": "/t", "unit": "K"}]
    intake.use(FeedSet([feed(readings=renamed)]))
    found.add([sent('{"t": 1, "kind": "t"}')], 3, when(NOW + 40_000))
    assert units(found) == {"x": [{"t": "K"}]}


def units(found: Windows) -> dict[str, list[dict[str, str]]]:
    """Take all windows out, and return the units in their partials by sensor, by facility."""
    by_facility: dict[str, list[dict[str, str]]] = {}
    for window in take_all(found):
        message = parse(*encode_partials([window], Origin("c", 1, 1)))
        named = {entry.sensor: entry.unit for entry in message.sensors if entry.unit}
        by_facility.setdefault(window.facility, []).append(named)
    return by_facility
