"""What a publisher holds until its PUBACK."""

from collections import deque

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_runtime.mqtt.frames import Frames
from sensorpipe_runtime.mqtt.outbox import Outbox

CAPACITY = 12


def sent(data: bytes) -> list[tuple[int, bytes]]:
    """Return (packet id, payload) of each PUBLISH."""
    packets = Frames().feed(data)
    publishes = [packet for packet in packets if isinstance(packet, mqtt5.PublishPacket)]
    assert len(publishes) == len(packets)
    assert all(packet.qos == 1 for packet in publishes)
    return [(packet.packet_id or 0, packet.payload) for packet in publishes]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 6)),
        st.tuples(st.just("settle"), st.integers(0, 6)),
        st.tuples(st.just("refuse"), st.integers(0, 3)),
        st.tuples(st.just("connect"), st.sampled_from([1, 3, 65_535])),
        st.tuples(st.just("disconnect"), st.just(0)),
    ),
    max_size=40,
)


@given(steps, st.sampled_from([0, 65_530]))
def test_every_message_goes_out_in_order_until_it_is_answered(
    played: list[tuple[str, int]], last_id: int
):
    outbox = Outbox(CAPACITY)
    outbox._last_id = last_id
    waiting: deque[bytes] = deque()
    flight: dict[int, bytes] = {}
    window = made = acknowledged = refused = 0
    for step, count in played:
        if step == "put":
            payloads = [b"%d" % number for number in range(made, made + count)]
            if count > CAPACITY - len(waiting) - len(flight):
                with pytest.raises(BufferError):
                    outbox.put("t", payloads)
            else:
                outbox.put("t", payloads)
                waiting += payloads
                made += count
        elif step in {"settle", "refuse"}:
            code = mqtt5.PubAckReasonCode.SUCCESS
            if step == "refuse":
                code = mqtt5.PubAckReasonCode.QUOTA_EXCEEDED
            ids = list(flight)[:count]
            answers = [mqtt5.PubAckPacket(each, reason_code=code) for each in [*ids, 40_000]]
            outbox.settle(answers, 0.0)
            for each in ids:
                del flight[each]
            acknowledged += len(ids) * (step == "settle")
            refused += len(ids) * (step == "refuse")
        elif step == "connect":
            outbox.connected(count)
            window = count
            waiting.extendleft(reversed(flight.values()))
            flight.clear()
        else:
            outbox.disconnected()
            window = 0
        out = sent(outbox.due(0.0))
        free = max(0, window - len(flight))
        expected = [waiting.popleft() for _ in range(min(free, len(waiting)))]
        assert [payload for _, payload in out] == expected
        ids = [packet_id for packet_id, _ in out]
        assert len(set(ids)) == len(ids)
        assert not set(ids) & set(flight)
        assert all(0 < packet_id <= 65_535 for packet_id in ids)
        flight |= dict(out)
        assert outbox.unacknowledged == len(waiting) + len(flight)
        assert outbox.room == CAPACITY - outbox.unacknowledged
        assert (outbox.acknowledged, outbox.refused) == (acknowledged, refused)


def test_packet_ids_go_round_what_is_still_in_flight():
    outbox = Outbox(100_000)
    outbox.connected(65_535)
    outbox.put("t", [b""] * 65_535)
    ids = [packet_id for packet_id, _ in sent(outbox.due(0.0))]
    assert sorted(ids) == list(range(1, 65_536))
    outbox.settle([mqtt5.PubAckPacket(each) for each in (3, 500)], 0.0)
    outbox.put("t", [b"a", b"b", b"c"])
    assert sent(outbox.due(0.0)) == [(3, b"a"), (500, b"b")]
    assert outbox.due(0.0) == b""


def test_no_more_than_the_broker_s_window_is_in_flight():
    outbox = Outbox(100)
    outbox.connected(20)
    outbox.put("t", [b""] * 100)
    assert len(sent(outbox.due(0.0))) == 20
    outbox.connected(10)
    assert len(sent(outbox.due(0.0))) == 10


def test_one_message_at_a_time_is_timed_until_its_puback():
    outbox = Outbox(10)
    outbox.connected(10)
    outbox.put("t", [b"a", b"b"])
    ((_, _), (last, _)) = sent(outbox.due(100.0))
    assert outbox.puback_seconds(100.5) == 0.5  # it waits
    outbox.settle([mqtt5.PubAckPacket(last)], 102.0)
    assert outbox.puback_seconds(200.0) == 2.0
    outbox.put("t", [b"c"])
    outbox.due(200.0)
    outbox.disconnected()  # it goes out again later
    assert outbox.puback_seconds(300.0) == 2.0
