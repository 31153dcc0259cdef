"""How a TLS connection to Kafka ends."""

import asyncio
import ssl
import threading
from pathlib import Path
from socket import create_server
from typing import Self

import pytest
import uvloop
from aiokafka.conn import create_conn
from aiokafka.protocol.metadata import MetadataRequest
from sensorpipe_runtime.kafka.client import KafkaSettings
from sensorpipe_schema.names import COMPACTED
from support import services
from support.secured_parts import KAFKA_USERS, create, kafka_settings

LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
MUCH = bytes(5_000_000)


def test_kafka_that_reads_the_end_together_with_a_request_is_not_waited_for(tmp_path):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(end_right_behind_a_request(tmp_path)) is None


async def end_right_behind_a_request(folder: Path) -> BaseException | None:
    """Close a connection as a consumer does that stops between two fetches."""
    kafka = services.secured_kafka(folder, KAFKA_USERS)
    await kafka.start()
    try:
        await kafka.listening()
        await create(kafka, COMPACTED)
        options = kafka_settings(kafka, "admin").client_options()
        options.pop("bootstrap_servers")
        connection = await create_conn("127.0.0.1", kafka.port, **options)
        reader = connection._reader
        answer = asyncio.ensure_future(connection.send(MetadataRequest([COMPACTED])))
        await connection.close()
        await asyncio.wait([answer])
        assert answer.exception() is not None
        # of the connection's end: a TimeoutError where it was waited for in vain
        found: BaseException | None = reader.exception()
        return found
    finally:
        await kafka.stop()


@LOOPS
def test_the_peer_is_told_of_the_end_and_not_waited_for(tmp_path, loop):
    services._certify(tmp_path)
    with DeafPeer(tmp_path) as peer, asyncio.Runner(loop_factory=loop) as runner:
        settings = KafkaSettings("", "SSL", "PLAIN", None, None, str(tmp_path / "ca.crt"))
        context = settings.client_options()["ssl_context"]
        assert runner.run(write_and_close(peer.port, context, MUCH)) is None
    assert peer.read == MUCH


async def write_and_close(port: int, context: ssl.SSLContext, data: bytes) -> BaseException | None:
    """Return with what error the connection ended, if any."""
    ended = asyncio.get_running_loop().create_future()

    class Protocol(asyncio.Protocol):
        def connection_lost(self, exc: BaseException | None) -> None:
            ended.set_result(exc)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(Protocol, "127.0.0.1", port, ssl=context)
    transport.write(data)
    transport.close()
    found: BaseException | None = await ended
    return found


class DeafPeer:
    """Reads to the end that TLS tells of, and does not answer it."""

    def __init__(self, folder: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "broker.pem")
        # what a closed socket has not read resets the connection, and cuts what it still sends
        self._context.num_tickets = 0
        self._listening = create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, name="silent peer")
        self._leave = threading.Event()
        self.port = self._listening.getsockname()[1]
        self.read = b""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        accepted, _ = self._listening.accept()
        # an end that TLS was not told of raises here, and the test fails of it
        with self._context.wrap_socket(
            accepted, server_side=True, suppress_ragged_eofs=False
        ) as connection:
            while more := connection.recv(1024):
                self.read += more
            self._leave.wait()
