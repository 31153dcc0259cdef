"""Items of dead letters, from whatever is in the topics."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_server.api.dead_letters.letter import MAX_PAYLOAD, MAX_TEXT, letter_of, shown
from sensorpipe_server.api.openapi.answers import DeadLetter, KafkaPlace
from support.dead_letters import Raw, refused_message, refused_partial

PLACE = ("sensor_readings.dead_letter", 1, 17, 1_795_773_600_250)


def item(value: bytes | None, headers: list[tuple[str, bytes]]) -> DeadLetter:
    return letter_of(Raw(*PLACE, value, headers))


def test_a_message_that_is_no_reading() -> None:
    letter = refused_message(
        "too_old", "sensor_readings/hall/t", b'{"ts": 1}', "too_old: ts 1 looks like seconds"
    )
    assert item(*letter) == DeadLetter(
        at=datetime(2026, 11, 27, 10, 0, 0, 250_000, UTC),
        topic="sensor_readings/hall/t",
        reason="too_old",
        detail="ts 1 looks like seconds",
        what_to_do="send ts in milliseconds, and check the device's clock; at most 7 days ago",
        feed=None,
        payload='{"ts": 1}',
        payload_encoding="utf-8",
        payload_bytes=9,
        kept_at=KafkaPlace("sensor_readings.dead_letter", 1, 17),
        read_from=None,
    )


def test_a_message_of_a_feed_names_it() -> None:
    found = item(*refused_message("not_a_number", detail="/t: 'warm'", feed="zigbee"))
    assert (found.feed, found.detail) == ("zigbee", "/t: 'warm'")


def test_a_partial_says_where_it_was() -> None:
    found = item(*refused_partial("not_protobuf", b"\xff\xff"))
    assert found.topic == "compacted_sensor_readings"
    assert found.read_from == KafkaPlace("compacted_sensor_readings", 2, 41)
    assert (found.payload, found.payload_encoding) == ("//8=", "base64")


@pytest.mark.parametrize(
    ("header", "size"),
    [(("cut_from", b"300000"), 300_000), (("left_out", b"1048576 bytes"), 1_048_576)],
)
def test_what_was_cut_says_how_large_it_was(header: tuple[str, bytes], size: int) -> None:
    value, headers = refused_message("too_large", payload=b"w" * 100)
    assert item(value, [*headers, header]).payload_bytes == size


def test_a_long_payload_is_cut_between_characters() -> None:
    whole = "é".encode() * MAX_PAYLOAD
    found = item(*refused_message("not_json", payload=b"x" + whole))
    assert found.payload == "x" + "é" * (MAX_PAYLOAD // 2 - 1)
    assert (found.payload_encoding, found.payload_bytes) == ("utf-8", 1 + len(whole))


def test_an_incomplete_character_at_the_end_of_all_is_base64() -> None:
    assert shown("é".encode()[:1], is_cut=False) == ("ww==", "base64")
    assert shown(b"a" + "é".encode()[:1], is_cut=True) == ("a", "utf-8")
    assert shown(b"\xff\xff\xff\xff", is_cut=True)[1] == "base64"


def test_control_characters_come_out_as_they_went_in() -> None:
    found = item(*refused_message("not_json", "a\x1b[2Jb", b"\x1b[2J\0"))
    assert (found.topic, found.payload) == ("a\x1b[2Jb", "\x1b[2J\0")
    assert b"\x1b" not in msgspec.json.encode(found)


header_values = st.none() | st.binary(max_size=3 * MAX_TEXT) | st.just(b"9" * 30)
known_names = st.sampled_from(
    ["reason", "detail", "mqtt_topic", "feed", "cut_from", "topic", "partition", "offset"]
)


@given(
    value=st.none() | st.binary(max_size=2 * MAX_PAYLOAD),
    headers=st.lists(st.tuples(known_names | st.text(), header_values), max_size=12),
    timestamp=st.integers(-(2**63), 2**63 - 1),
)
def test_whatever_is_written_there_becomes_an_item(
    value: bytes | None, headers: list[tuple[str, bytes | None]], timestamp: int
) -> None:
    found = letter_of(Raw("t", 0, 0, timestamp, value, headers))
    decoded = msgspec.json.decode(msgspec.json.encode(found), type=DeadLetter)
    assert decoded == found
    assert len(found.payload) <= 4 * MAX_PAYLOAD // 3 + 4
    assert max(map(len, (found.topic, found.reason, found.detail))) <= MAX_TEXT
