"""Readings ahead of our clock: whose clock is wrong, and what becomes of them until it is known."""

import mqtt5
import pytest
from sensorpipe_compactor.clock_check import ClockCheck, WrongClock
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_schema.reading import MAX_AHEAD_MS, Reading
from support.window_parts import NOW, WINDOW, of, take_all, when, windows

MINUTE, HOUR = 60_000, 3_600_000
FIRST, UNKNOWN = 15_000, 90_000


def check(leads: dict[str, int], stepped: int = 0) -> ClockCheck:
    """Return a check that has just heard these sources, each so far ahead of the true time."""
    made = ClockCheck()
    for source, lead in leads.items():
        made.note(source, f"hall/{source}", NOW + lead, when(NOW, stepped))
    return made


@pytest.mark.parametrize(
    ("leads", "stepped", "verdict"),
    [
        ({"a": 0, "b": HOUR}, 0, WrongClock.UNKNOWN),  # one of them is wrong, or a is late
        ({"a": 0, "b": 0, "c": HOUR}, 0, WrongClock.THEIRS),
        ({"a": 0, "b": 0, "c": 0}, -HOUR, WrongClock.OURS),
        (
            {"a": 0, "b": 5_000, "c": -HOUR},
            -HOUR,
            WrongClock.OURS,
        ),  # c is as late
        ({"a": 0, "b": 0, "c": -HOUR - 30 * MINUTE}, -HOUR, WrongClock.OURS),
        ({"a": HOUR, "b": HOUR, "c": -5 * MINUTE, "d": -5 * MINUTE}, 0, WrongClock.UNKNOWN),
        ({"a": HOUR}, 0, WrongClock.UNKNOWN),
        ({"a": HOUR, "b": -HOUR}, 0, WrongClock.UNKNOWN),  # b may send what it has kept
        ({"a": MAX_AHEAD_MS + 1, "b": MAX_AHEAD_MS - 1}, 0, WrongClock.UNKNOWN),
    ],
)
def test_whose_clock_is_wrong(leads: dict[str, int], stepped: int, verdict: WrongClock):
    made = check(leads, stepped)
    assert made.judge(when(NOW + FIRST, stepped)) is verdict


def test_those_that_come_first_do_not_judge_the_others():
    """After an outage a clock goes on where it ended, and so do those who kept their readings."""
    made = check({"kept": -HOUR, "kept too": -HOUR, "a": 0}, -HOUR)
    assert made.judge(when(NOW, -HOUR)) is WrongClock.UNKNOWN
    for source in ("b", "c"):
        made.note(source, f"hall/{source}", NOW + 5_000, when(NOW + 5_000, -HOUR))
    assert made.judge(when(NOW + FIRST, -HOUR)) is WrongClock.OURS


def test_a_machine_that_stood_still_does_not_judge_by_what_came_before():
    """Both of its clocks stood still for 5 minutes; the sources come back one after the other."""
    taken, stood = windows(), 5 * MINUTE
    taken.add([of(Reading(NOW, 1.0, src, 1)) for src in "abc"], 0, when(NOW))
    take_all(taken)
    later = NOW + MINUTE
    for number, src in enumerate("abc"):
        now = when(later + number * 5_000)
        taken.add([of(Reading(now.wall_ms + stood, 1.0, src, 2))], 3 + number, now)
        taken.judge_ahead(now)
        assert taken.take_dead_letters() == []  # once it was the first one
    assert taken.judge_ahead(when(later + FIRST)) is not None
    taken.judge_ahead(when(later + stood + FIRST))
    assert sum(window.count for window in take_all(taken)) == 3


def test_what_nobody_confirms_is_the_source_s_fault_after_a_while():
    made = check({"a": HOUR})
    assert made.judge(when(NOW)) is WrongClock.UNKNOWN
    assert made.judge(when(NOW + UNKNOWN - 1)) is WrongClock.UNKNOWN
    assert made.judge(when(NOW + UNKNOWN)) is WrongClock.THEIRS
    assert made.judge(when(NOW + UNKNOWN + 1_000)) is WrongClock.THEIRS
    made.note("a", "hall/a", NOW + 2 * HOUR, when(NOW + HOUR))
    assert made.judge(when(NOW + HOUR)) is WrongClock.UNKNOWN  # another time


def test_a_publisher_that_is_restarted_again_and_again_is_no_majority():
    """Its clock is ahead by an hour; each minute it has another `src`, and stays so."""
    made = check({"a": 0, "b": 0, "c": 0})
    for minute in range(1, 60):
        at = NOW + minute * MINUTE
        for source in "abc":
            made.note(source, f"hall/{source}", at, when(at))
        made.note(f"ahead-{minute}", "hall/ahead", at + HOUR, when(at))
        assert made.judge(when(at + FIRST)) is WrongClock.THEIRS


def test_several_sources_of_one_topic_count_as_long_as_they_send():
    made = ClockCheck()
    for second in range(0, 120, 10):
        at = NOW + second * 1_000
        for source in "abc":
            made.note(source, "hall/boiler", at, when(at))
        for source in ("x", "y"):
            made.note(source, f"hall/{source}", at + HOUR, when(at))
    assert made.judge(when(NOW + 120_000)) is WrongClock.THEIRS


def test_a_clock_set_back_is_ours_also_where_there_is_one_source():
    made = check({"a": 0})
    for ms in (1, UNKNOWN, 10 * UNKNOWN):
        made.note("a", "hall/a", NOW + ms, when(NOW + ms, -HOUR))
        assert made.judge(when(NOW + ms, -HOUR)) is WrongClock.OURS
    assert made.behind_ms(when(NOW + 10 * UNKNOWN, -HOUR)) == HOUR


def test_a_late_reading_does_not_make_its_source_agree():
    made = check({"a": 0, "b": 0}, -HOUR)
    made.note("a", "hall/a", NOW - HOUR, when(NOW + 1, -HOUR))
    assert made.judge(when(NOW + 1, -HOUR)) is WrongClock.OURS


def test_sources_that_came_before_one_filled_up_the_broker_still_confirm_our_clock():
    made = check({"a": 0, "b": HOUR, "c": 0})
    made.note("b", "hall/b", NOW + 300_000 + HOUR, when(NOW + 300_000))
    assert made.judge(when(NOW + 300_000)) is WrongClock.THEIRS


def test_sources_remembered_are_bounded():
    made = check({f"s{number}": 0 for number in range(3_000)})
    assert len(made._sources) == 1_000


# What becomes of the readings.


def test_readings_of_all_sources_wait_for_a_clock_that_is_an_hour_behind():
    taken = windows()
    messages = [of(Reading(NOW, 1.0, src, seq)) for seq in (1, 2, 3) for src in ("a", "b")]
    taken.add(messages, 0, when(NOW, -HOUR))
    assert taken.judge_ahead(when(NOW, -HOUR)) == HOUR
    assert taken.take_dead_letters() == []  # once it was all six
    assert take_all(taken) == []
    assert taken.lowest_number() == 1
    assert taken.kept_bytes > 0
    assert taken.judge_ahead(when(NOW + 1_000)) is None  # the clock is right again
    (window,) = take_all(taken)
    assert window.count == 6
    assert taken.kept_bytes == 0
    assert taken.lowest_number() is None
    assert taken.duplicates == 0


def test_of_a_message_that_waits_only_what_is_counted_is_kept():
    """Its user properties may take 256 KiB."""
    sent = of(Reading(NOW, 1.0, "a", 1))
    given = mqtt5.PublishPacket(
        sent.topic, sent.payload, user_properties=[("k", "x" * 60_000)], content_type="y" * 60_000
    )
    taken = windows()
    taken.add([given], 0, when(NOW, -HOUR))
    (kept,) = taken.ahead
    assert kept.message == mqtt5.PublishPacket(sent.topic, sent.payload)
    assert taken.kept_bytes == len(sent.topic) + len(sent.payload)
    taken.judge_ahead(when(NOW))
    (window,) = take_all(taken)
    assert (window.count, taken.kept_bytes) == (1, 0)


def test_a_reading_that_was_ahead_is_not_acknowledged_before_its_window():
    taken = windows()
    taken.add([of(Reading(NOW, 1.0, "a", 1)), of(Reading(NOW, 1.0, "b", 1))], 0, when(NOW, -HOUR))
    taken.add([of(Reading(NOW, 1.0, "a", 2))], 2, when(NOW))
    assert taken.lowest_number() == 1
    taken.judge_ahead(when(NOW))
    assert taken.lowest_number() == 1
    (window,) = take_all(taken)
    assert window.count == 3


def test_a_single_source_ahead_of_the_others_is_a_dead_letter_in_its_place():
    taken = windows()
    good = [of(Reading(NOW, 1.0, src, 1)) for src in ("a", "d")]
    bad = of(Reading(NOW + MAX_AHEAD_MS + FIRST + 1, 1.0, "b", 1))
    none = of(Reading(NOW + 8 * 24 * HOUR, 1.0, "b", 2))
    taken.add([bad, good[0], none, good[1]], 0, when(NOW))
    taken.add([of(Reading(NOW - 8 * 24 * HOUR, 1.0, "c", 1))], 4, when(NOW))
    assert taken.judge_ahead(when(NOW + FIRST)) is None
    dead = [(letter.number, letter.reason) for letter in taken.take_dead_letters()]
    assert dead == [(1, "ahead_of_time"), (3, "ahead_of_time"), (5, "too_old")]
    (window,) = take_all(taken)
    assert window.count == 2


def test_each_source_in_a_batch_has_a_vote():
    taken = windows()
    right = [of(Reading(NOW, 1.0, f"right{n}", 1)) for n in range(3)]
    wrong = [of(Reading(NOW + HOUR, 1.0, f"wrong{n}", 1)) for n in range(2)]
    taken.add(right + wrong, 0, when(NOW))
    assert taken.judge_ahead(when(NOW + FIRST)) is None
    assert len(taken.take_dead_letters()) == 2
    assert len(take_all(taken)) == 1


def test_dead_letters_given_back_stay_in_the_order_of_their_numbers():
    taken = windows()
    bad = [of(Reading(NOW + HOUR, 1.0, "b", 1)), of(Reading(1, 1.0, "b", 2))]
    taken.add(bad, 0, when(NOW))
    given = taken.take_dead_letters()
    assert [letter.number for letter in given] == [2]
    taken.judge_ahead(when(NOW))
    taken.judge_ahead(when(NOW + UNKNOWN))
    taken.return_dead_letters(given)
    assert [letter.number for letter in taken.take_dead_letters()] == [1, 2]
    assert taken.kept_bytes == 0


def test_a_reading_becomes_one_once_the_clock_has_reached_it():
    taken = windows()
    taken.add([of(Reading(NOW + MAX_AHEAD_MS + WINDOW, 1.0, "a", 1))], 0, when(NOW))
    assert taken.judge_ahead(when(NOW + WINDOW - 1)) is None
    assert take_all(taken) == []
    taken.judge_ahead(when(NOW + WINDOW))
    assert len(take_all(taken)) == 1


def test_a_reading_that_was_held_is_no_word_of_its_source_when_it_is_let_go():
    behind, period = 5 * 60_000, 90_000
    taken, dead = windows(), 0
    for second in range(0, 1_200, 1):
        now = NOW + second * 1_000
        clock = when(now, -behind)
        sent = [
            of(Reading(now, 1.0, f"s{source}", 1 + second * 1_000 // period))
            for source in range(10)
            if (second * 1_000 + source * 9_000) % period == 0
        ]
        taken.add(sent, second * 10, clock)
        taken.judge_ahead(clock)
        dead += len(taken.take_dead_letters())
    assert dead == 0  # once it was 87 of 134


def test_the_verdict_lasts_while_the_broker_has_no_more_in_flight():
    made = check({"a": HOUR, "b": HOUR})
    assert made.judge(when(NOW)) is WrongClock.OURS
    for minute in range(1, 60):
        assert made.judge(when(NOW + minute * 60_000)) is WrongClock.OURS  # nobody is heard


def test_a_late_source_does_not_overrule_a_clock_that_was_set_back():
    made = check({"a": 0, "b": 0})
    back = -90_000
    for source in ("a", "b"):
        made.note(source, f"hall/{source}", NOW + 1_000, when(NOW + 1_000, back))
    made.note("late", "hall/late", NOW - 99_000, when(NOW + 1_000, back))
    assert made.judge(when(NOW + 1_000, back)) is WrongClock.OURS
    made.note("late", "hall/late", NOW - 98_000, when(NOW + 2_000, back))
    assert made.judge(when(NOW + 2_000, back)) is WrongClock.OURS


def test_a_clock_that_was_ahead_a_little_and_is_set_right_is_right():
    made = check({"a": -100_000, "b": -100_000})  # ours was 100 s ahead
    for source in ("a", "b"):
        made.note(source, f"hall/{source}", NOW + 1_000, when(NOW + 1_000, 0))
    made.note("wrong", "hall/wrong", NOW + HOUR, when(NOW + 1_000, 0))
    assert made.judge(when(NOW + 1_000 + FIRST, 0)) is WrongClock.THEIRS


def test_a_wrong_unit_says_nothing_of_our_clock():
    made = check({"a": 999 * NOW, "b": 999 * NOW})
    assert made.judge(when(NOW)) is WrongClock.UNKNOWN
    assert made.judge(when(NOW + UNKNOWN)) is WrongClock.THEIRS


def test_what_a_facility_sends_without_a_source_is_one_source():
    taken = windows()
    ahead = [of(Reading(NOW + HOUR, 1.0), "f", sensor) for sensor in ("t", "h")]
    taken.add(ahead, 0, when(NOW))
    assert taken.judge_ahead(when(NOW)) is None
    taken.judge_ahead(when(NOW + UNKNOWN))
    assert len(taken.take_dead_letters()) == 2


def many(sources: int, ahead: int, now_ms: int, seq: int) -> list[Message]:
    """Return a reading of each of so many sources, of which so many are two minutes ahead."""
    return [
        of(Reading(now_ms + 120_000 * (n < ahead), 1.0, f"src-{n}", seq), f"f{n}")
        for n in range(sources)
    ]


@pytest.mark.parametrize("ahead", [100, 4_900])
def test_of_very_many_sources_a_part_tells_whose_clock_is_wrong(ahead: int):
    """All are heard only while there are few; those that are heard are chosen by a hash."""
    taken, sources = windows(), 5_000
    for seq in range(1, 5):
        now = NOW + 10_000 * seq
        taken.add(many(sources, ahead, now, seq), sources * (seq - 1), when(now))
        behind = taken.judge_ahead(when(now))
    if ahead < sources - ahead:
        assert (behind, len(taken.ahead)) == (None, 0)
        assert taken.open.lowest_number() is not None
        assert len(taken.dead_letters) == 4 * ahead
    else:
        assert behind is not None
        assert 119_000 < behind <= 120_000
        assert len(taken.ahead) == 4 * ahead
        assert taken.dead_letters == []
    assert len(taken.clock) <= 1_000
