"""Numbers and acknowledgements of what a subscriber receives, over any reconnects."""

from hypothesis import given
from hypothesis import strategies as st
from sensorpipe_runtime.mqtt.inbox import Inbox


def ids_of(pubacks: bytes) -> list[int]:
    """Return the packet ids in a run of PUBACKs."""
    packets = [pubacks[at : at + 4] for at in range(0, len(pubacks), 4)]
    assert all(packet[:2] == b"\x40\x02" for packet in packets)
    return [int.from_bytes(packet[2:], "big") for packet in packets]


packet_ids = st.one_of(st.none(), st.integers(1, 65_535))
steps = st.lists(
    st.one_of(
        st.lists(packet_ids, max_size=6),
        st.tuples(st.just("acknowledge"), st.integers(0, 40)),
        st.just("reconnect"),
    ),
    max_size=30,
)


@given(steps)
def test_acknowledgements_keep_the_order_of_receipt_and_their_connection(
    played: list[list[int | None] | tuple[str, int] | str],
):
    inbox = Inbox()
    received: list[int | None] = []
    begun = done = acknowledged = 0
    for step in played:
        if isinstance(step, list):
            inbox.take(step)
            received += step
        elif isinstance(step, tuple):
            through = min(max(step[1], done), len(received))
            expected = [each for each in received[max(begun, done) : through] if each]
            assert ids_of(inbox.acknowledge(step[1])) == (expected if step[1] > done else [])
            acknowledged += len(expected) if step[1] > done else 0
            done = through
        else:
            inbox.connected()
            begun = done = len(received)
        assert inbox.received == len(received)
        assert inbox.acknowledged == acknowledged
        assert inbox.unacknowledged == len([each for each in received[max(begun, done) :] if each])


def test_an_old_connection_s_messages_are_acknowledged_by_nothing():
    inbox = Inbox()
    inbox.take([1, 2, 3])
    inbox.connected()
    assert inbox.acknowledge(3) == b""
    inbox.take([1, 2, 3])
    assert inbox.acknowledge(3) == b""
    assert ids_of(inbox.acknowledge(5)) == [1, 2]
    assert ids_of(inbox.acknowledge(99)) == [3]
    assert inbox.acknowledge(99) == b""


def test_qos_0_takes_numbers_and_no_puback():
    inbox = Inbox()
    inbox.take([None, 4, None, None, 6])
    assert inbox.unacknowledged == 2
    assert inbox.acknowledge(1) == b""
    assert ids_of(inbox.acknowledge(4)) == [4]
    assert ids_of(inbox.acknowledge(5)) == [6]
    assert inbox.unacknowledged == 0


def test_a_full_flight_is_acknowledged_in_one_write():
    inbox = Inbox()
    flight: list[int | None] = list(range(65_535, 0, -1))
    inbox.take(flight)
    assert ids_of(inbox.acknowledge(65_535)) == flight
