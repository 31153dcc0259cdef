"""What windows take and refuse, when they are due, and how they stay bounded."""

import pytest
from sensorpipe_compactor.windowing.buffers import Window
from sensorpipe_runtime.mqtt.frames import Message, Refused
from sensorpipe_schema.reading import MAX_AGE_MS, MAX_AHEAD_MS, Reading
from support.window_parts import (
    LATENESS,
    NOW,
    WINDOW,
    buckets,
    message,
    of,
    remembering,
    take_all,
    when,
    windows,
)


def run(first: int, count: int, ts: int = NOW, src: str | None = "a") -> list[Message]:
    return [of(Reading(ts, 1.0, src, seq)) for seq in range(first, first + count)]


def test_intervals_of_a_run_are_one_interval():
    taken = windows()
    taken.add(run(1, 1_000), 0, when(NOW))
    (window,) = take_all(taken)
    assert list(buckets(window)["s"].intervals_by_src["a"]) == [(1, 1_000)]
    taken.add(run(1_001, 10) + run(5, 3), 1_000, when(NOW))
    assert taken.duplicates == 3
    (window,) = take_all(taken)
    assert list(buckets(window)["s"].intervals_by_src["a"]) == [(1_001, 1_010)]


def test_a_reading_without_a_seq_has_no_identity():
    taken = windows()
    taken.add(
        [message("sensor_readings/f/s", b'{"ts":%d,"val":2,"src":"a"}' % NOW)] * 2, 0, when(NOW)
    )
    taken.add(
        [message("sensor_readings/f/s", b'{"ts":%d,"val":2,"seq":1}' % NOW)] * 2, 2, when(NOW)
    )
    (window,) = take_all(taken)
    assert window.count == 4
    assert buckets(window)["s"].intervals_by_src == {}


# Dead letters.


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("sensor_readings/f", b"{}", "bad_topic"),
        ("other/f/s", b"{}", "bad_topic"),
        ("sensor_readings/F/s", b"{}", "bad_facility_name"),
        ("sensor_readings/f/-", b"{}", "bad_sensor_name"),
        ("sensor_readings/f/s\0", b"{}", "bad_sensor_name"),
        ("sensor_readings/f/s", b"", "not_json"),
        ("sensor_readings/f/s", b'{"ts":1}', "no_val"),
        ("sensor_readings/f/s", b"[" * 8_000, "not_json"),
        ("sensor_readings/f/s", b'{"val":1,"ts":%d,"x":"%s"}' % (NOW, b"y" * 8192), "too_large"),
        ("sensor_readings/f/s", b'{"ts":%d,"val":1e999}' % NOW, "val_not_finite"),
        ("sensor_readings/f/s", b'{"ts":%d,"val":1}' % (NOW - MAX_AGE_MS - 1), "too_old"),
    ],
)
def test_what_is_no_reading_becomes_a_dead_letter(topic: str, payload: bytes, reason: str):
    taken = windows()
    taken.add(run(1, 3), 0, when(NOW))
    taken.add([message(topic, payload), *run(4, 1), message(topic, payload)], 3, when(NOW))
    assert taken.lowest_number() == 1
    (window,) = take_all(taken)
    assert window.count == 4
    assert taken.lowest_number() == 4
    assert taken.kept_bytes > 0
    dead = taken.take_dead_letters()
    assert [(letter.number, letter.topic, letter.reason) for letter in dead] == [
        (4, topic, reason),
        (6, topic, reason),
    ]
    assert dead[0].payload == payload[: 8 * 1024]
    assert taken.lowest_number() is None
    assert taken.kept_bytes == 0


def test_a_refused_packet_becomes_a_dead_letter():
    taken = windows()
    taken.add([Refused("\ufffd", b"x" * 100_000, 7, "malformed_packet")], 0, when(NOW))
    (letter,) = taken.take_dead_letters()
    assert (letter.number, letter.reason) == (1, "malformed_packet")
    assert len(letter.payload) == 8 * 1024


@pytest.mark.parametrize("src", ["a", None])
def test_a_running_source_does_not_get_past_the_clock(src: str | None):
    """Where a window holds what is just allowed and what is not, each reading is looked at."""
    start = NOW - NOW % WINDOW
    now = start - MAX_AHEAD_MS + 5_000
    stamps = [start, start + 4_000, start + 5_000, start + 5_001, start + 9_000, start + 4_999]
    taken = windows()
    taken.add([of(Reading(ts, 1.0, src, n)) for n, ts in enumerate(stamps, 1)], 0, when(now))
    (window,) = take_all(taken)
    assert window.count == 4
    assert [each.number for each in taken.ahead] == [4, 5]


@pytest.mark.parametrize("src", ["a", None])
def test_a_running_source_does_not_get_past_seven_days(src: str | None):
    start = NOW - NOW % WINDOW
    now = start + MAX_AGE_MS + 5_000
    stamps = [start + 6_000, start + 5_000, start + 4_999, start, start + 7_000]
    taken = windows()
    taken.add([of(Reading(ts, 1.0, src, n)) for n, ts in enumerate(stamps, 1)], 0, when(now))
    (window,) = take_all(taken)
    assert window.count == 3
    assert [letter.number for letter in taken.take_dead_letters()] == [3, 4]


def test_a_payload_over_8_kib_does_not_get_past_a_running_source():
    taken = windows()
    taken.add(run(1, 5), 0, when(NOW))
    long = b'{"ts":%d,"val":1,"src":"a","seq":6,"x":"%s"}' % (NOW, b"y" * 8192)
    taken.add([message("sensor_readings/f/s", long), *run(6, 1)], 5, when(NOW))
    assert [letter.reason for letter in taken.take_dead_letters()] == ["too_large"]
    (window,) = take_all(taken)
    assert window.count == 6


# When windows are due.

START = NOW - NOW % WINDOW
END = START + WINDOW


def starts(handed: list[Window]) -> list[int]:
    return sorted(window.start_ms for window in handed)


def test_a_window_is_due_when_its_facility_s_time_has_passed():
    taken = windows()
    taken.add(run(1, 1, START), 0, when(START))
    taken.add(run(2, 1, END + LATENESS - 1), 1, when(END + LATENESS - 1))
    assert taken.take_due(when(END + LATENESS - 1)) == []
    taken.add(run(3, 1, END + LATENESS), 2, when(END + LATENESS))
    assert starts(taken.take_due(when(END + LATENESS))) == [START]
    assert len(taken.open) == 1


def test_a_silent_facility_s_last_window_is_due_by_the_clock():
    taken = windows()
    taken.add(run(1, 1, START), 0, when(START))
    assert taken.take_due(when(START)) == []
    assert taken.take_due(when(END + LATENESS - 1)) == []
    assert starts(taken.take_due(when(END + LATENESS))) == [START]


def test_a_facility_that_goes_on_in_an_old_window_is_not_cut_off():
    taken = windows()
    now = END + LATENESS
    for number in range(5):  # its clock is behind, or it drains a backlog
        taken.add(run(number + 1, 1, START), number, when(now))
        assert taken.take_due(when(now)) == []
        now += LATENESS - 1
    assert starts(taken.take_due(when(now + 50))) == [START]


def test_a_facility_ahead_of_the_clock_is_due_after_idle_time():
    taken = windows()
    taken.add(run(1, 1, NOW + MAX_AHEAD_MS), 0, when(NOW))
    assert taken.take_due(when(NOW)) == []
    assert taken.take_due(when(NOW + WINDOW + LATENESS - 1)) == []
    assert len(taken.take_due(when(NOW + WINDOW + LATENESS))) == 1


def test_nobody_else_s_clock_closes_a_window():
    taken = windows()
    taken.add(
        [of(Reading(START, 1.0), "slow"), of(Reading(END + 30_000, 1.0), "fast")], 0, when(START)
    )
    assert taken.take_due(when(START + 1)) == []
    taken.add([of(Reading(END + 43_000, 1.0), "fast")], 2, when(START + 1))
    assert [w.facility for w in taken.take_due(when(START + LATENESS))] == ["fast"]
    assert [w.facility for w in taken.take_due(when(START + LATENESS + 1))] == []
    assert [w.facility for w in take_all(taken)] == ["slow", "fast"]


def test_a_late_window_waits_for_what_else_comes_late():
    taken = windows()
    taken.add(run(1, 1, START) + run(2, 1, END + LATENESS), 0, when(NOW))
    assert starts(taken.take_due(when(NOW + LATENESS))) == [START]
    now = NOW + LATENESS + 100
    taken.add(run(3, 1, START + 1), 2, when(now))
    assert taken.take_due(when(now + LATENESS - 1)) == []
    taken.add(run(4, 1, START + 2), 3, when(now + LATENESS - 1))
    (late,) = taken.take_due(when(now + LATENESS))
    assert late.count == 2
    assert taken.late == 2


def test_taking_everything_early_makes_nothing_late():
    taken = windows()
    taken.add(run(1, 2, START), 0, when(START))
    assert starts(take_all(taken)) == [START]
    taken.add(run(3, 2, START + 1), 2, when(START + 1))
    assert taken.take_due(when(START + 1)) == []
    assert starts(taken.take_due(when(END + LATENESS))) == [START]
    assert taken.late == 0


def test_a_seq_without_a_src_means_nothing_and_takes_no_memory():
    taken = windows()
    payloads = [f'{{"ts": {START}, "val": 1.0, "seq": {seq}}}' for seq in (7, 0, 9, 8, 7, 0)]
    sent = [message("sensor_readings/f/s", payload.encode()) for payload in payloads]
    taken.add(sent, 0, when(START))
    (window,) = take_all(taken)
    assert window.count == 6
    assert buckets(window)["s"].intervals_by_src == {}
    source = taken.sources.by_topic["sensor_readings/f/s"]
    assert (source.next, source.earlier) == (0, None)


# Bounds.


def test_sources_are_forgotten_beyond_their_bound_and_counted():
    taken = windows(remembering(3))
    for number in range(5):
        taken.add(run(1, 2, src=f"run-{number}"), 2 * number, when(NOW))
    assert len(taken.sources) == 3
    assert taken.sources.forgotten == 2
    handed = take_all(taken)
    assert [(w.count, len(buckets(w)["s"].intervals_by_src)) for w in handed] == [(8, 4), (2, 1)]
    taken.add(run(1, 2, src="run-4"), 10, when(NOW))
    assert taken.duplicates == 2


def test_a_source_that_goes_on_is_remembered_longer_than_one_that_has_ended():
    taken = windows(remembering(3))
    for number in range(6):
        now = NOW + number * 7 * WINDOW  # its use is noted once a minute
        taken.add(run(1 + number, 1, now, src="lives"), 2 * number, when(now))
        taken.add(run(1, 1, now, src=f"ended-{number}"), 2 * number + 1, when(now))
        take_all(taken)
    taken.add(run(1, 6, src="lives"), 12, when(NOW))
    assert taken.duplicates == 6


def test_intervals_are_forgotten_beyond_their_bound_and_counted():
    taken = windows(remembering(10, 4))
    taken.add([of(Reading(NOW, 1.0, "a", 2 * number)) for number in range(1, 8)], 0, when(NOW))
    assert taken.sources.forgotten == 3  # the lower half, and one, of the first five
    taken.add([of(Reading(NOW, 1.0, "a", 14))], 7, when(NOW))
    assert taken.duplicates == 1


def test_a_facility_without_sources_and_windows_is_forgotten():
    taken = windows(remembering(2))
    for number in range(50):
        taken.add([of(Reading(NOW, 1.0, "a", 1), f"f{number}")], number, when(NOW))
        take_all(taken)
    assert len(taken.open._facilities) <= 3
    assert len(taken.sources.by_topic) == 2
