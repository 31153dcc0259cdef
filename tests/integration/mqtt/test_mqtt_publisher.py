"""A publisher through a connection that ends in the middle."""

import asyncio

import mqtt5
import pytest
from sensorpipe_cli.runner.child import free_port
from sensorpipe_runtime.backoff import Backoff
from sensorpipe_runtime.mqtt import connection, link
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.publisher import Publisher
from support.fake_broker import Client, broker, running, wait_for_the_end
from support.waiting import eventually


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect quickly, and say goodbye to a broker that does not listen."""
    monkeypatch.setattr(connection, "_CLOSE_SECONDS", 0.3)
    monkeypatch.setattr(link, "Backoff", lambda: Backoff(0.01, 0.02))


async def test_a_publisher_keeps_to_the_window_and_sends_again_in_order():
    seen: list[list[bytes]] = [[], []]

    async def take(client: Client, into: list[bytes], *, answer: bool) -> None:
        await client.next(mqtt5.ConnectPacket)
        await client.send(mqtt5.ConnAckPacket(receive_max=3).write())
        while len(into) < 3 or answer:
            packet = await client.next(mqtt5.PublishPacket)
            assert isinstance(packet, mqtt5.PublishPacket)
            into.append(packet.payload)
            if answer or len(into) == 1:
                await client.send(mqtt5.PubAckPacket(packet.packet_id or 0).write())

    async with broker(
        lambda client: take(client, seen[0], answer=False),
        lambda client: take(client, seen[1], answer=True),
    ) as endpoint:
        one = Publisher(endpoint, "me", capacity=9)
        one.publish("t", [b"1", b"2", b"3", b"4", b"5"])
        async with running(one):
            await asyncio.wait_for(one.drained(), 10)
            assert one.acknowledged == 5
            assert one.unacknowledged == 0
            await one.close()
    assert seen[0] == [b"1", b"2", b"3"]
    assert seen[1] == [b"2", b"3", b"4", b"5"]


async def test_nothing_published_is_drained_at_once():
    one = Publisher(Endpoint("127.0.0.1", free_port()), "me", capacity=9)
    one.publish("t", [])
    await asyncio.wait_for(one.drained(), 10)


async def test_a_broker_that_acknowledges_slowly_is_named(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level("INFO")
    now = 100.0

    async def take(client: Client) -> None:
        nonlocal now
        await client.next(mqtt5.ConnectPacket)
        await client.send(mqtt5.ConnAckPacket().write())
        for seconds in (6, 1):
            packet = await client.next(mqtt5.PublishPacket)
            assert isinstance(packet, mqtt5.PublishPacket)
            now += seconds
            await client.send(mqtt5.PubAckPacket(packet.packet_id or 0).write())
        await wait_for_the_end(client)

    async with broker(take) as endpoint:
        one = Publisher(endpoint, "me", capacity=9, clock=lambda: now)
        async with running(one):
            await eventually(lambda: one.connected)
            one.publish("t", [b"1"])
            await asyncio.wait_for(one.drained(), 10)
            assert one.puback_seconds == 6
            one.publish("t", [b"2"])
            await asyncio.wait_for(one.drained(), 10)
            assert one.puback_seconds == 1
            await one.close()
    lines = [line for line in caplog.messages if "acknowledges" in line]
    assert lines == [
        "The broker acknowledges slowly: it may be sent more than it can hand on",
        "The broker acknowledges in time again",
    ]
