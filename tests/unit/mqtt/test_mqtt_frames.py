"""What arrives on the wire: cut anywhere, malformed, oversize."""

import mqtt5
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sensorpipe_runtime.mqtt.errors import ProtocolError
from sensorpipe_runtime.mqtt.frames import MAX_PACKET, Frames, Inbound, Refused

TOPIC = b"sensor_readings/f/s"
GOOD = mqtt5.PublishPacket("t", b"next", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=9).write()

Told = tuple[object, ...]

# the codec's Rust leaves the UnicodeDecodeError behind which it panics to the interpreter
panics = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def vary(length: int) -> bytes:
    """Return a variable byte integer."""
    out = bytearray()
    while True:
        length, low = divmod(length, 128)
        out.append(low | (128 if length else 0))
        if not length:
            return bytes(out)


def publish(
    topic: bytes = TOPIC,
    payload: bytes = b"{}",
    packet_id: int | None = 7,
    *,
    properties: bytes = b"\0",
    first: int | None = None,
    topic_length: int | None = None,
) -> bytes:
    """Return a PUBLISH as no honest library would write it."""
    length = len(topic) if topic_length is None else topic_length
    identity = b"" if packet_id is None else packet_id.to_bytes(2, "big")
    body = length.to_bytes(2, "big") + topic + identity + properties + payload
    kind = (0x30 if packet_id is None else 0x32) if first is None else first
    return bytes([kind]) + vary(len(body)) + body


def told(packet: Inbound) -> Told:
    """Return what a packet says, comparable."""
    if isinstance(packet, Refused):
        return ("refused", *packet)
    if isinstance(packet, mqtt5.PublishPacket):
        return ("publish", packet.topic, packet.payload, packet.packet_id)
    return (type(packet).__name__, getattr(packet, "packet_id", None))


def fed(stream: bytes, cuts: list[int] | None = None) -> list[Told]:
    """Return what comes of a stream that is cut at these positions."""
    frames, found, at = Frames(), [], 0
    for cut in [*sorted(cuts or []), len(stream)]:
        found += frames.feed(stream[at:cut])
        at = cut
    return [told(packet) for packet in found]


valid = st.one_of(
    st.builds(
        lambda topic, payload, packet_id: mqtt5.PublishPacket(
            topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id
        ).write(),
        st.sampled_from(["a", "sensor_readings/f/s", "x" * 200]),
        st.binary(max_size=300),
        st.integers(1, 65_535),
    ),
    st.builds(lambda payload: mqtt5.PublishPacket("t", payload).write(), st.binary(max_size=9)),
    st.builds(lambda packet_id: mqtt5.PubAckPacket(packet_id).write(), st.integers(1, 65_535)),
    st.just(mqtt5.PingRespPacket().write()),
)
malformed = st.sampled_from(
    [
        publish(properties=b"\x02\x7f\x00"),
        publish(properties=b"\xff\xff\xff\xff\x01"),
        publish(properties=b"\x7f", payload=b""),
        publish(first=0x36),
        publish(packet_id=None, properties=b"\x02\x7f\x00"),
    ]
)


@given(st.lists(st.one_of(valid, malformed), max_size=8), st.data())
def test_where_the_stream_is_cut_changes_nothing(packets: list[bytes], data: st.DataObject):
    stream = b"".join(packets)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    whole = fed(stream)
    assert len(whole) == len(packets)
    assert fed(stream, cuts) == whole
    assert fed(stream, list(range(len(stream)))) == whole


def test_an_incomplete_packet_waits_for_its_rest():
    frames = Frames()
    for byte in GOOD[:-1]:
        assert frames.feed(bytes([byte])) == []
    assert [told(packet) for packet in frames.feed(GOOD[-1:])] == [("publish", "t", b"next", 9)]


@panics
@pytest.mark.parametrize(
    ("packet", "refused"),
    [
        (publish(b"\xff/\xfe"), ("\ufffd/\ufffd", b"{}", 7)),
        (publish(b"\xed\xa0\x80"), ("\ufffd\ufffd\ufffd", b"{}", 7)),
        (publish(b""), ("", b"{}", 7)),
        (publish(properties=b"\x02\x7f\x00"), (TOPIC.decode(), b"{}", 7)),
        (publish(properties=b"\x04\x01\x01\x01\x01"), (TOPIC.decode(), b"{}", 7)),
        (publish(properties=b"\x04\x03\x00\x01\xff"), (TOPIC.decode(), b"{}", 7)),
        (publish(properties=b"\x7f", payload=b"ab"), (TOPIC.decode(), b"", 7)),
        (publish(properties=b"", payload=b""), (TOPIC.decode(), b"", 7)),
        (
            publish(properties=b"\xff\xff\xff\xff\xff", payload=b"ab"),
            (TOPIC.decode(), b"\xff\xff\xff\xff\xffab", 7),
        ),
        (publish(first=0x36), (TOPIC.decode(), b"{}", 7)),
        (publish(b"\xff", packet_id=None), ("\ufffd", b"{}", None)),
        (publish(b"abc", packet_id=None, topic_length=60), ("abc\0{}", b"", None)),
    ],
)
def test_a_malformed_publish_keeps_its_packet_id(
    packet: bytes, refused: tuple[str, bytes, int | None]
):
    expected = ("refused", *refused, "malformed_packet")
    assert fed(packet + GOOD) == [expected, ("publish", "t", b"next", 9)]
    assert fed(GOOD + packet) == [("publish", "t", b"next", 9), expected]


def test_a_nul_in_a_topic_is_passed_on():
    assert fed(publish(b"a\0b") + GOOD)[0] == ("publish", "a\0b", b"{}", 7)


@panics
@pytest.mark.parametrize(
    "packet",
    [
        publish(b"abc", topic_length=60_000),  # no packet id can be read, so no PUBACK is possible
        publish(b"\xff", packet_id=0),
        b"\x40\x03\x00\x01\x77",
        b"\x42\x02\x00\x01",
        b"\x40\x01\x00",
        b"\x00\x00",
        b"\x32\xff\xff\xff\xff\x01",
    ],
)
def test_from_what_cannot_be_acknowledged_there_is_no_going_on(packet: bytes):
    with pytest.raises(ProtocolError):
        Frames().feed(GOOD + packet + GOOD)


@given(
    st.integers(MAX_PACKET + 1, 3_000_000),
    st.lists(st.integers(1, 70_000), min_size=1, max_size=20),
    st.sampled_from([7, None]),
)
@example(3_000_000, [200_000], None)
@example(MAX_PACKET + 1, [65_536], 7)
def test_an_oversize_publish_is_cut_and_skipped(size: int, reads: list[int], packet_id: int | None):
    stream = publish(payload=b"y" * size, packet_id=packet_id) + GOOD * 300
    frames, found, at, turn = Frames(), [], 0, 0
    while at < len(stream):
        step = max(reads[turn % len(reads)], 5_000)
        found += frames.feed(stream[at : at + step])
        at, turn = at + step, turn + 1
        assert len(frames._rest) <= MAX_PACKET
    first, *others = found
    assert isinstance(first, Refused)
    assert first[0] == TOPIC.decode()
    assert first.packet_id == packet_id
    assert first.reason == "too_large"
    assert 8 * 1024 < len(first.payload) < MAX_PACKET
    assert set(first.payload) == {ord("y")}
    assert [told(packet) for packet in others] == [("publish", "t", b"next", 9)] * 300


def test_what_comes_in_the_same_read_behind_an_oversize_publish_is_kept():
    stream = publish(payload=b"y" * 2_000_000) + GOOD * 300
    assert fed(stream, [200_000, 2_000_000])[1:] == [("publish", "t", b"next", 9)] * 300


def test_an_oversize_publish_with_properties_longer_than_what_is_kept():
    stream = publish(properties=vary(400_000) + b"\x26" * 400_000) + GOOD
    assert fed(stream, [140_000]) == [
        ("refused", TOPIC.decode(), b"", 7, "too_large"),
        ("publish", "t", b"next", 9),
    ]


def test_an_oversize_packet_of_another_kind_ends_the_connection():
    with pytest.raises(ProtocolError):
        Frames().feed(b"\x40" + vary(1_000_000) + bytes(200_000))
