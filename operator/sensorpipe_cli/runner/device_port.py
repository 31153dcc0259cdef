"""One port for devices of either version of MQTT.

rumqttd listens for MQTT 3.1.1 and MQTT 5 at ports of their own. A device's first packet says which
it speaks; so its connection is passed on to the one or the other.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from sensorpipe_cli.runner.ports import LOOPBACK

MAX_CONNECTIONS: Final = 10_000
"""Largest number of devices connected at once; a further connection is closed."""

_CONNECT_SECONDS: Final = 10.0
"""Seconds within which a device must say which version it speaks."""

_CHUNK: Final = 64 * 1024
"""Largest number of bytes copied at once."""

_CONNECT: Final = 0x10
_MQTT_5: Final = 5
_MAX_LENGTH_BYTES: Final = 4


def protocol_level(head: bytes) -> int | None:
    """Return the protocol level in the beginning of a CONNECT packet: 4 is MQTT 3.1.1, 5 MQTT 5.

    None if more bytes are needed, 0 if it is no CONNECT packet.
    """
    if head and head[0] != _CONNECT:
        return 0
    at = 1
    while at < len(head) and head[at] & 0x80:  # the packet's length, 7 bits a byte
        at += 1
        if at > _MAX_LENGTH_BYTES:
            return 0
    name = head[at + 1 : at + 3]
    level = at + 3 + int.from_bytes(name, "big")
    if len(name) < 2 or len(head) <= min(level, at + 9):  # noqa: PLR2004  a length of two bytes
        return None
    known = head[at + 3 : level] in {b"MQTT", b"MQIsdp"}
    return head[level] if known and level < len(head) else 0


class DevicePort:
    """Passes connections on to the broker's port for their version of MQTT."""

    def __init__(self, mqtt_3_port: int, mqtt_5_port: int) -> None:
        self._ports = (mqtt_3_port, mqtt_5_port)
        self._connections = 0

    async def serve(self, host: str, port: int, listening: Callable[[], object]) -> None:
        """Listen at an address until cancelled, and call `listening` once that is so.

        Raises OSError if that is not possible.
        """
        server = await asyncio.start_server(self._pass_on, host, port, limit=_CHUNK)
        async with server:
            listening()
            await server.serve_forever()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= MAX_CONNECTIONS:
                await self._splice(reader, writer)
        except (OSError, TimeoutError):
            pass  # one of the two has gone
        finally:
            self._connections -= 1
            await _close(writer)

    async def _splice(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b""
        async with asyncio.timeout(_CONNECT_SECONDS):
            while (level := protocol_level(head)) is None:
                more = await reader.read(_CHUNK)
                if not more:
                    return
                head += more
        if not level:
            return
        port = self._ports[level == _MQTT_5]
        broker_reader, broker_writer = await asyncio.open_connection(LOOPBACK, port, limit=_CHUNK)
        try:
            broker_writer.write(head)
            both = [
                asyncio.create_task(_copy(reader, broker_writer), name="from device"),
                asyncio.create_task(_copy(broker_reader, writer), name="to device"),
            ]
            _, left = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        finally:
            await _close(broker_writer)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until one side ends; a slow receiver stops the sender."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def start(host: str, port: int, mqtt_3_port: int, mqtt_5_port: int) -> None:
    """Serve in a thread until the process ends; raise OSError if that is not possible."""
    listening: Future[None] = Future()

    def run() -> None:
        serving = DevicePort(mqtt_3_port, mqtt_5_port).serve(
            host, port, lambda: listening.set_result(None)
        )
        try:
            asyncio.run(serving)
        except OSError as error:
            listening.set_exception(error)

    threading.Thread(target=run, name="devices", daemon=True).start()
    listening.result()
