"""A broker of a few lines, for what no real one does on request."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import mqtt5
from sensorpipe_runtime.mqtt.endpoint import Endpoint
from sensorpipe_runtime.mqtt.frames import Message
from sensorpipe_runtime.mqtt.link import Link
from sensorpipe_runtime.mqtt.subscriber import Subscriber

CONNACK = mqtt5.ConnAckPacket(session_present=True).write()
SUBACK = mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]).write()
TAKEN_OVER = mqtt5.DisconnectPacket(
    reason_code=mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER
).write()


def publish(packet_id: int, payload: bytes = b"x") -> bytes:
    qos = mqtt5.QoS.AT_LEAST_ONCE
    return mqtt5.PublishPacket("t", payload, qos=qos, packet_id=packet_id).write()


class Client:
    """One connection, from the broker's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._rest = b""

    async def packet(self) -> mqtt5.Packet:
        """Return the next packet; EOFError at the end of the connection."""
        while True:
            with suppress(IndexError):
                found, size = mqtt5.read(memoryview(self._rest))
                self._rest = self._rest[size:]
                return found
            data = await self.reader.read(65_536)
            if not data:
                raise EOFError
            self._rest += data

    async def next(self, kind: type[mqtt5.Packet]) -> mqtt5.Packet:
        """Return the next packet of a kind, passing over others."""
        while True:
            packet = await self.packet()
            if isinstance(packet, kind):
                return packet

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def welcome(self, more: bytes = b"") -> None:
        """Answer CONNECT and SUBSCRIBE, with more in the same segments."""
        await self.next(mqtt5.ConnectPacket)
        await self.send(CONNACK + more)
        await self.next(mqtt5.SubscribePacket)
        await self.send(SUBACK)


Behaviour = Callable[[Client], Awaitable[None]]


@asynccontextmanager
async def broker(*behaviours: Behaviour) -> AsyncIterator[Endpoint]:
    """Serve the first connection by the first behaviour, and so on; the last serves the rest."""
    left, failures = list(behaviours), []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behave = left.pop(0) if len(left) > 1 else left[0]
        try:
            with suppress(EOFError, ConnectionError):
                await behave(Client(reader, writer))
        except Exception as error:  # noqa: BLE001  told below, where a test sees it
            failures.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    assert not failures


class Handler:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.sessions: list[bool] = []
        self.on_batch: Callable[[], None] = lambda: None

    def on_messages(self, messages: Sequence[Message], before: int) -> None:
        assert before == len(self.payloads)
        self.payloads += [message.payload for message in messages]
        self.on_batch()

    def on_connected(self, *, session_present: bool) -> None:
        self.sessions.append(session_present)


@asynccontextmanager
async def running(one: Link) -> AsyncIterator[asyncio.Task[None]]:
    """Run a link; afterwards it leaves no task behind."""
    before = asyncio.all_tasks()
    task = asyncio.create_task(one.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        left = {t for t in asyncio.all_tasks() - before if "mqtt" in t.get_name()}
        assert not left


async def wait_for_the_end(client: Client) -> None:
    with suppress(EOFError, ConnectionError):
        while True:
            await client.packet()


async def accept(client: Client) -> None:
    """Accept a connection and its subscription, and say nothing more."""
    await client.welcome()
    await wait_for_the_end(client)


def subscriber(endpoint: Endpoint, handler: Handler) -> Subscriber:
    return Subscriber(endpoint, "me", ["t"], handler)
