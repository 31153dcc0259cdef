"""The broker's count of dropped messages, with a broker that retains nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import mqtt5
from sensorpipe_compactor.broker_drops import BrokerDrops
from sensorpipe_runtime.mqtt.connection import Connection
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.publisher import Publisher
from sensorpipe_runtime.mqtt.subscribing import subscribe
from support import services
from support.services import running
from support.waiting import eventually

SETTINGS = "max_queued_messages 10\nsys_interval 1\nretain_available false\n"


@asynccontextmanager
async def watching(watched: BrokerDrops) -> AsyncIterator[None]:
    """Run the watch, and end its connection."""
    run = asyncio.create_task(watched.run())
    try:
        yield
    finally:
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run


async def leave_a_session(endpoint: Endpoint) -> None:
    """Leave a session that is subscribed, of a client that does not come back."""
    connection = await Connection.open(endpoint, lambda _: None, lambda _: None)
    packet = mqtt5.ConnectPacket("gone", clean_start=True, session_expiry_interval=3600)
    await connection.handshake(packet)
    await subscribe(connection, ["d/#"], session_present=False)
    await connection.close()


async def drop(publisher: Publisher, count: int) -> None:
    publisher.publish("d/a", [b"x"] * count)
    await asyncio.wait_for(publisher.drained(), 30)


async def test_what_was_dropped_while_no_compactor_ran_is_known_to_the_next(tmp_path: Path):
    async with running(services.mosquitto(tmp_path, SETTINGS)) as broker:
        assert broker.port
        endpoint = Endpoint("127.0.0.1", broker.port)
        await leave_a_session(endpoint)
        publisher = Publisher(endpoint, "publisher", capacity=1_000)
        publishing = asyncio.create_task(publisher.run())
        former, other, later = (BrokerDrops(endpoint, name) for name in ("it", "other", "it"))
        async with watching(other):
            async with watching(former):
                await eventually(lambda: former.connected and other.connected)
                await drop(publisher, 25)
                await eventually(lambda: former.messages == 15)
            await drop(publisher, 30)
            await eventually(lambda: other.messages == 45)  # the broker has told it
        async with watching(later):
            await eventually(lambda: later.messages == 45)  # once it was None until the next drop
        await publisher.close()
        await publishing
