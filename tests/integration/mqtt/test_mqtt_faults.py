"""What no real broker does on request: a broker of a few lines that does it."""

import asyncio
import logging
from contextlib import suppress

import mqtt5
import pytest
from sensorpipe_cli.runner.child import free_port
from sensorpipe_runtime.backoff import Backoff
from sensorpipe_runtime.mqtt import connection, link
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.errors import SessionTakenOverError
from sensorpipe_runtime.mqtt.publisher import Publisher
from support.fake_broker import (
    CONNACK,
    SUBACK,
    TAKEN_OVER,
    Client,
    Handler,
    accept,
    broker,
    publish,
    running,
    subscriber,
    wait_for_the_end,
)
from support.waiting import eventually


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect quickly, and say goodbye to a broker that does not listen."""
    monkeypatch.setattr(connection, "_CLOSE_SECONDS", 0.3)
    monkeypatch.setattr(link, "Backoff", lambda: Backoff(0.01, 0.02))


async def take_pubacks(client: Client, count: int, ids: list[int]) -> None:
    """Take so many PUBACKs, and add their packet ids as they come."""
    for _ in range(count):
        packet = await client.next(mqtt5.PubAckPacket)
        assert isinstance(packet, mqtt5.PubAckPacket)
        ids.append(packet.packet_id)


async def test_messages_in_the_segment_of_the_connack_are_taken_and_acknowledged():
    acknowledged: list[int] = []

    async def behave(client: Client) -> None:
        await client.welcome(publish(3) + publish(2))
        await take_pubacks(client, 2, acknowledged)
        await wait_for_the_end(client)

    handler = Handler()
    async with broker(behave) as endpoint:
        one = subscriber(endpoint, handler)
        async with running(one):
            await eventually(lambda: one.ready)
            assert handler.payloads == [b"x", b"x"]
            assert handler.sessions == [True]
            assert one.inbox.unacknowledged == 2
            one.acknowledge(2)
            await eventually(lambda: acknowledged == [3, 2])


async def test_pubacks_go_out_in_the_order_of_receipt():
    acknowledged: list[int] = []
    ids = [9, 1, 65_535, 2, 8]

    async def behave(client: Client) -> None:
        await client.welcome()
        await client.send(b"".join(map(publish, ids)))
        await take_pubacks(client, len(ids), acknowledged)
        await wait_for_the_end(client)

    handler = Handler()
    async with broker(behave) as endpoint:
        one = subscriber(endpoint, handler)
        async with running(one):
            await eventually(lambda: len(handler.payloads) == 5)
            one.acknowledge(2)
            one.acknowledge(1)
            one.acknowledge(5)
            await eventually(lambda: acknowledged == ids)


async def test_acknowledging_what_an_old_connection_brought_does_nothing():
    second: list[mqtt5.Packet] = []

    async def first(client: Client) -> None:
        await client.welcome(publish(1) + publish(2))

    async def again(client: Client) -> None:
        await client.welcome(publish(1) + publish(2))
        with suppress(EOFError):
            while True:
                second.append(await client.packet())

    handler = Handler()
    async with broker(first, again) as endpoint:
        one = subscriber(endpoint, handler)
        async with running(one):
            await eventually(lambda: len(handler.payloads) == 4 and one.ready)
            one.acknowledge(2)
            one.acknowledge(3)
            await eventually(lambda: bool(second))
            await one.close()
    (puback,) = [packet for packet in second if isinstance(packet, mqtt5.PubAckPacket)]
    assert puback.packet_id == 1


async def test_a_session_taken_over_ends_the_link():
    async def behave(client: Client) -> None:
        await client.welcome()
        await client.send(TAKEN_OVER)

    async with broker(behave) as endpoint:
        one = subscriber(endpoint, Handler())
        async with running(one) as run:
            with pytest.raises(SessionTakenOverError, match="SESSION_TAKEN_OVER"):
                await asyncio.wait_for(run, 60)
        assert not one.connected


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.BANNED).write(), "BANNED"),
        (SUBACK, "the broker answered CONNECT with SubAckPacket"),
        (CONNACK + CONNACK[:1] + b"\xff\xff\xff\xff", "impossible length"),
        (b"\x40\x03\x00\x01\x77", "malformed packet"),
        (
            CONNACK + mqtt5.SubAckPacket(1, []).write(),
            "the broker answered SUBSCRIBE with []",
        ),
        (
            CONNACK + mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.NOT_AUTHORIZED]).write(),
            "refused 't' at QoS 1: NOT_AUTHORIZED",
        ),
        (
            CONNACK
            + mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE]).write(),
            "refused 't' at QoS 1: GRANTED_QOS_AT_MOST_ONCE",
        ),
        (
            CONNACK
            + mqtt5.DisconnectPacket(
                reason_code=mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN
            ).write(),
            "SERVER_SHUTTING_DOWN",
        ),
    ],
)
async def test_a_broker_that_says_no_or_nonsense_is_tried_again(
    sent: bytes, reason: str, caplog: pytest.LogCaptureFixture
):
    async def refuse(client: Client) -> None:
        await client.next(mqtt5.ConnectPacket)
        if sent.startswith(CONNACK) and b"\x90" in sent[len(CONNACK) :][:1]:
            await client.send(CONNACK)
            await client.next(mqtt5.SubscribePacket)
            await client.send(sent[len(CONNACK) :])
        else:
            await client.send(sent)
        await wait_for_the_end(client)

    async with broker(refuse, accept) as endpoint:
        one = subscriber(endpoint, Handler())
        async with running(one):
            await eventually(lambda: one.ready)
    assert any(reason in getattr(record, "error", "") for record in caplog.records)


def short_keep_alive(seconds: int) -> bytes:
    return mqtt5.ConnAckPacket(server_keep_alive=seconds).write()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ping every 0.1 s, and give up after 0.3 s without a word or 0.5 s without an answer."""
    monkeypatch.setattr(connection, "_PING_EVERY", 0.1)
    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 0.5)


@pytest.mark.usefixtures("quick")
async def test_pings_go_on_while_nobody_reads():
    pings = 0

    async def behave(client: Client) -> None:
        nonlocal pings
        await client.welcome()
        await client.send(publish(1))
        with suppress(EOFError):
            while True:
                await client.next(mqtt5.PingReqPacket)
                pings += 1

    handler = Handler()
    async with broker(behave) as endpoint:
        one = subscriber(endpoint, handler)
        handler.on_batch = one.pause  # at once: the broker answers no ping
        async with running(one):
            await eventually(lambda: len(handler.payloads) == 1)
            begun = pings
            # three times as long as a silence may last
            await eventually(lambda: pings >= begun + 10)
            assert one.connected
            assert one.connections == 1
            one.resume()


@pytest.mark.usefixtures("quick")
async def test_a_broker_that_fell_silent_is_given_up(caplog: pytest.LogCaptureFixture):
    async with broker(accept) as endpoint:
        one = subscriber(endpoint, Handler())
        async with running(one):
            await eventually(lambda: one.connections >= 2)
    assert any("has sent nothing for" in getattr(r, "error", "") for r in caplog.records)


@pytest.mark.usefixtures("quick")
async def test_a_broker_that_does_not_answer_is_given_up(caplog: pytest.LogCaptureFixture):
    async with broker(wait_for_the_end, accept) as endpoint:
        one = subscriber(endpoint, Handler())
        async with running(one):
            await eventually(lambda: one.ready)
    assert any("did not answer" in getattr(r, "error", "") for r in caplog.records)


async def test_the_broker_s_own_keep_alive_rules():
    pinged = asyncio.Event()

    async def behave(client: Client) -> None:
        await client.next(mqtt5.ConnectPacket)
        await client.send(short_keep_alive(1))
        await client.next(mqtt5.PingReqPacket)
        pinged.set()
        await wait_for_the_end(client)

    async with broker(behave) as endpoint:
        one = Publisher(endpoint, "me", capacity=9)
        async with running(one):
            await asyncio.wait_for(pinged.wait(), 60)


@pytest.mark.usefixtures("quick")
async def test_who_stops_reading_before_the_subscription_is_answered_keeps_the_connection():
    """A resumed session sends before the SUBACK, and may fill what there is room for."""
    asked = asyncio.Event()

    async def behave(client: Client) -> None:
        await client.next(mqtt5.ConnectPacket)
        await client.send(CONNACK)
        await client.next(mqtt5.SubscribePacket)
        await client.send(publish(1))
        await client.next(mqtt5.PingReqPacket)
        for _ in range(10):
            await client.next(mqtt5.PingReqPacket)
        await client.send(SUBACK)
        asked.set()
        await wait_for_the_end(client)

    handler = Handler()
    async with broker(behave) as endpoint:
        one = subscriber(endpoint, handler)
        handler.on_batch = one.pause
        async with running(one):
            await asyncio.wait_for(asked.wait(), 60)
            assert not one.ready
            one.resume()
            await eventually(lambda: one.ready)
            assert one.connections == 1


@pytest.fixture
def slow_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait so long before a second try that no test lives to see it."""
    monkeypatch.setattr(link, "Backoff", lambda: Backoff(10_000, 10_000))


@pytest.mark.usefixtures("slow_retries")
async def test_closing_wakes_a_link_that_waits_to_try_again(caplog: pytest.LogCaptureFixture):
    one = subscriber(Endpoint("127.0.0.1", free_port()), Handler())
    async with running(one) as run:
        await eventually(lambda: bool(caplog.records))
        await one.close()
        await asyncio.wait_for(run, 60)


@pytest.mark.usefixtures("slow_retries")
async def test_closing_ends_a_link_that_is_still_connecting():
    connecting = asyncio.Event()

    async def behave(client: Client) -> None:
        await client.next(mqtt5.ConnectPacket)
        connecting.set()
        await wait_for_the_end(client)

    async with broker(behave) as endpoint:
        one = subscriber(endpoint, Handler())
        async with running(one) as run:
            await connecting.wait()
            await one.close()
            await asyncio.wait_for(run, 60)


async def test_closing_before_the_start_is_enough():
    one = subscriber(Endpoint("127.0.0.1", free_port()), Handler())
    await one.close()
    await asyncio.wait_for(one.run(), 60)


async def test_closing_says_goodbye_behind_the_last_acknowledgements():
    last: list[mqtt5.Packet] = []

    async def behave(client: Client) -> None:
        await client.welcome(publish(5))
        with suppress(EOFError):
            while True:
                last.append(await client.packet())

    async with broker(behave) as endpoint:
        one = subscriber(endpoint, Handler())
        async with running(one) as run:
            await eventually(lambda: one.ready)
            one.acknowledge(1)
            await one.close()
            await asyncio.wait_for(run, 60)
            await eventually(lambda: len(last) == 2)
    assert [type(packet) for packet in last] == [mqtt5.PubAckPacket, mqtt5.DisconnectPacket]


async def test_closing_with_something_unread_loses_no_acknowledgement(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(connection, "_CLOSE_SECONDS", 20)
    paused, leaving = asyncio.Event(), asyncio.Event()
    last: list[mqtt5.Packet] = []

    async def behave(client: Client) -> None:
        await client.welcome(publish(5))
        await paused.wait()
        client.writer.write(publish(6, b"y" * 100_000) * 20)
        await leaving.wait()
        await asyncio.sleep(0.1)  # for what a reset would reach
        last.extend([await client.packet(), await client.packet()])

    async with broker(behave) as endpoint:
        one = subscriber(endpoint, Handler())
        async with running(one) as run:
            await eventually(lambda: one.ready)
            one.pause()
            paused.set()
            one.acknowledge(1)
            closing = asyncio.create_task(one.close())
            leaving.set()
            await asyncio.wait_for(run, 60)
            await closing
    assert [type(packet) for packet in last] == [mqtt5.PubAckPacket, mqtt5.DisconnectPacket]


async def test_a_bug_in_the_handler_is_not_retried():
    async def behave(client: Client) -> None:
        await client.welcome(publish(5))
        await wait_for_the_end(client)

    def fail() -> None:
        raise LookupError("a bug")

    handler = Handler()
    handler.on_batch = fail
    async with broker(behave) as endpoint:
        one = subscriber(endpoint, handler)
        async with running(one) as run:
            with pytest.raises(LookupError, match="a bug"):
                await asyncio.wait_for(run, 60)


async def test_a_link_logs_no_password(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    endpoint = Endpoint("127.0.0.1", free_port(), username="me", password="hunter2")
    one = subscriber(endpoint, Handler())
    async with running(one):
        await eventually(lambda: len(caplog.records) > 1)
    assert "hunter2" not in str([vars(record) for record in caplog.records])
