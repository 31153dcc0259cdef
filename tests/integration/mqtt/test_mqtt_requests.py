"""What brokers answer to CONNECT and SUBSCRIBE in ways that no broker of the tests does."""

import mqtt5
import pytest
from sensorpipe_runtime.backoff import Backoff
from sensorpipe_runtime.mqtt import connection, link
from support.fake_broker import CONNACK, Client, Handler, accept, broker, running, subscriber
from support.fake_broker import wait_for_the_end as wait
from support.waiting import eventually

IN_USE = mqtt5.SubAckReasonCode.PACKET_ID_IN_USE
GRANTED = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect quickly."""
    monkeypatch.setattr(link, "Backoff", lambda: Backoff(0.01, 0.02))


class Mochi:
    """A broker whose session has the messages with these packet ids in flight."""

    def __init__(self, in_flight: set[int], *, session_present: bool = True) -> None:
        self.in_flight = in_flight
        self.asked: list[int] = []
        self._session_present = session_present

    async def __call__(self, client: Client) -> None:
        await client.next(mqtt5.ConnectPacket)
        await client.send(mqtt5.ConnAckPacket(session_present=self._session_present).write())
        while True:
            packet = await client.next(mqtt5.SubscribePacket)
            assert isinstance(packet, mqtt5.SubscribePacket)
            self.asked.append(packet.packet_id)
            code = IN_USE if packet.packet_id in self.in_flight else GRANTED
            await client.send(mqtt5.SubAckPacket(packet.packet_id, [code]).write())


@pytest.mark.parametrize(
    ("in_flight", "asked"),
    [
        (set(range(1, 101)), [65_535]),
        ({65_535}, [65_535, 65_534]),
        (set(range(60_000, 65_536)), [65_535, 65_534, 65_533, 1]),
    ],
)
async def test_a_subscription_takes_a_packet_id_that_no_message_has(
    in_flight: set[int], asked: list[int]
):
    mochi = Mochi(in_flight, session_present=False)
    async with broker(mochi) as endpoint:
        one = subscriber(endpoint, Handler())
        async with running(one):
            await eventually(lambda: one.ready)
    assert mochi.asked == asked


async def test_a_present_session_goes_on_where_every_packet_id_is_in_use(
    caplog: pytest.LogCaptureFixture,
):
    mochi = Mochi(set(range(1, 65_536)))
    async with broker(mochi) as endpoint:
        one = subscriber(endpoint, Handler())
        async with running(one):
            await eventually(lambda: one.ready)
            assert one.connections == 1
    assert any("no free packet id" in line for line in caplog.messages)


@pytest.mark.parametrize(
    "said",
    [
        b"\x20\x02\x00\x01",
        mqtt5.ConnAckPacket(
            reason_code=mqtt5.ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION
        ).write(),
        b"",
    ],
    ids=["CONNACK of 3.1.1", "CONNACK of 5", "closed"],
)
async def test_a_broker_without_mqtt_5_is_reported(said: bytes, caplog: pytest.LogCaptureFixture):
    async def old(client: Client) -> None:
        await client.next(mqtt5.ConnectPacket)
        await client.send(said)
        if said:
            await wait(client)

    async with broker(old, accept) as endpoint:
        one = subscriber(endpoint, Handler())
        async with running(one):
            await eventually(lambda: one.ready)
    (error,) = [r.error for r in caplog.records if "reconnecting" in r.message]  # type: ignore[attr-defined]
    if said:
        assert error == "the broker does not speak MQTT 5, which sensorpipe needs"
    else:
        assert "ended the connection instead of answering CONNECT" in error
        assert "check that it speaks MQTT 5" in error


async def test_a_connection_lost_later_says_nothing_of_mqtt_5(caplog: pytest.LogCaptureFixture):
    async def once(client: Client) -> None:
        await client.next(mqtt5.ConnectPacket)
        await client.send(CONNACK)

    async with broker(once, accept) as endpoint:
        one = subscriber(endpoint, Handler())
        async with running(one):
            await eventually(lambda: one.ready)
    assert not any("MQTT 5" in getattr(record, "error", "") for record in caplog.records)


class Remembering:
    """A broker that answers UNSUBSCRIBE with a code of the test's, and notes what it is asked."""

    def __init__(
        self, code: mqtt5.UnsubAckReasonCode | None, *, session_present: bool = True
    ) -> None:
        self.asked: list[object] = []
        self._code = code
        self._session_present = session_present

    async def __call__(self, client: Client) -> None:
        await client.next(mqtt5.ConnectPacket)
        await client.send(mqtt5.ConnAckPacket(session_present=self._session_present).write())
        while True:
            packet = await client.packet()
            if isinstance(packet, mqtt5.SubscribePacket):
                self.asked += [topic_filter.pattern for topic_filter in packet.topic_filters]
                await client.send(mqtt5.SubAckPacket(packet.packet_id, [GRANTED]).write())
            if isinstance(packet, mqtt5.UnsubscribePacket):
                self.asked.append(packet.patterns)
                if self._code is not None:
                    codes = [self._code] * len(packet.patterns)
                    await client.send(mqtt5.UnsubAckPacket(packet.packet_id, codes).write())


CODES = mqtt5.UnsubAckReasonCode


@pytest.mark.parametrize("code", [CODES.SUCCESS, CODES.NO_SUBSCRIPTION_EXISTED])
async def test_former_filters_end_once_the_new_ones_are_subscribed(code: CODES):
    remembering = Remembering(code)
    async with broker(remembering) as endpoint:
        one = subscriber(endpoint, Handler())
        one.former_filters = {"b/#", "a/#"}
        async with running(one):
            await eventually(lambda: one.ready)
            assert one.former_filters == set()
    assert remembering.asked == ["t", ["a/#", "b/#"]]


async def test_a_new_session_has_no_former_filters():
    remembering = Remembering(CODES.SUCCESS, session_present=False)
    async with broker(remembering) as endpoint:
        one = subscriber(endpoint, Handler())
        one.former_filters = {"a/#"}
        async with running(one):
            await eventually(lambda: one.ready)
            assert one.former_filters == set()
    assert remembering.asked == ["t"]


@pytest.mark.parametrize("code", [CODES.NOT_AUTHORIZED, None])
async def test_a_broker_that_keeps_a_former_filter_stops_nothing(
    code: CODES | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 0.2)
    remembering = Remembering(code)
    async with broker(remembering) as endpoint:
        one = subscriber(endpoint, Handler())
        one.former_filters = {"a/#"}
        async with running(one):
            await eventually(lambda: one.ready)
            assert one.former_filters == {"a/#"}
    assert any("does not end subscriptions" in line for line in caplog.messages)
