"""What `sensorpipe dead --follow` prints: each dead letter once."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_cli.commands.dead import MOST, News, notes
from sensorpipe_client import DeadLetter, DeadLetters, DeadLetterTopic, KafkaPlace

T0 = datetime(2026, 11, 27, 10, tzinfo=UTC)


def letter(offset: int, at: int = 0, partition: int = 0) -> DeadLetter:
    return DeadLetter(
        at=T0 + timedelta(milliseconds=at or offset),
        topic="sensor_readings/hall/t",
        reason="not_json",
        detail="",
        what_to_do="",
        payload="",
        payload_encoding="utf-8",
        payload_bytes=0,
        kept_at=KafkaPlace("dead", partition, offset),
    )


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-50, 100)), max_size=200), st.data())
def test_each_letter_is_new_once_in_order_of_time(
    written: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Whatever the partitions and the clocks, as long as an answer has all that is new."""
    log: list[DeadLetter] = []
    news, printed = News(), []
    for partition, at in written:
        offset = sum(each.kept_at.partition == partition for each in log)
        log.append(letter(offset, 1000 + at, partition))
        if data.draw(st.booleans()):
            newest = sorted(log, key=lambda each: each.at, reverse=True)[:MOST]
            new = news.of(newest)
            assert [each.at for each in new] == sorted(each.at for each in new)
            printed += new
    printed += news.of(sorted(log, key=lambda each: each.at, reverse=True)[:MOST])
    assert sorted(map(id, printed)) == sorted(map(id, log))


def test_a_letter_that_an_answer_leaves_out_is_not_new_when_it_is_back() -> None:
    news = News()
    assert len(news.of([letter(2), letter(1)])) == 2
    assert news.of([letter(2)]) == []
    assert news.of([letter(2), letter(1)]) == []


def test_letters_of_a_topic_that_was_created_again_are_new() -> None:
    news = News()
    news.of([letter(1), letter(0)])
    assert [each.at for each in news.of([letter(0, at=9)])] == [T0 + timedelta(milliseconds=9)]


def test_what_it_remembers_does_not_grow() -> None:
    news = News()
    for number in range(0, 100 * MOST, MOST):
        news.of([letter(n) for n in range(number + MOST, number, -1)])
    assert len(news._seen) == 10 * MOST


@pytest.mark.parametrize(
    ("found", "note"),
    [
        (DeadLetters([], complete=True), ["no dead letters"]),
        (DeadLetters([letter(1)], complete=True), []),
        (
            DeadLetters(
                [], complete=False, since=T0, looked_at=5, topics=[DeadLetterTopic("a", 9)]
            ),
            ["looked at 5 of 9 messages, back to 2026-11-27T10:00:00Z"],
        ),
        (
            DeadLetters([], complete=False, topics=[DeadLetterTopic("a\x1b", None)]),
            ["a\\x1b: Kafka has no such topic, or the server's user may not see it"],
        ),
    ],
)
def test_what_a_reader_has_to_know_beside_the_rows(found: DeadLetters, note: list[str]) -> None:
    assert list(notes(found)) == note
