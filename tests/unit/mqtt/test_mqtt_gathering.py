"""A connection that gathers: small reads apart, large ones at once."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sensorpipe_runtime.mqtt import connection
from sensorpipe_runtime.mqtt.connection import Connection
from support.fake_broker import CONNACK, publish
from support.waiting import eventually

if TYPE_CHECKING:
    from sensorpipe_runtime.mqtt.frames import Message


class Transport(asyncio.BaseTransport):
    """Notes whether the connection reads."""

    def __init__(self) -> None:
        self.reads = True
        self.closing = False

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True


class Bench:
    """A connection that gathers, after its CONNACK."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.transport: Any = Transport()
        self.connection = Connection(self.messages.extend, lambda _: None)
        self.connection.connection_made(self.transport)
        self.connection.data_received(CONNACK)
        self.connection.gathers = True


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small read be followed by the next one after a turn of the loop."""
    monkeypatch.setattr(connection, "_GATHER_SECONDS", 0.0)


@pytest.mark.usefixtures("soon")
async def test_after_a_small_read_it_waits_and_goes_on() -> None:
    bench = Bench()
    bench.connection.data_received(publish(1))
    assert len(bench.messages) == 1, "what came is passed on at once"
    assert not bench.transport.reads
    await eventually(lambda: bench.transport.reads)
    bench.connection.data_received(publish(2))
    assert not bench.transport.reads


async def test_after_a_large_read_it_does_not_wait() -> None:
    bench = Bench()
    bench.connection.data_received(publish(1, b"x" * connection._GATHER_BYTES))
    assert bench.transport.reads


@pytest.mark.usefixtures("soon")
async def test_it_reads_no_sooner_than_others_want() -> None:
    bench = Bench()
    bench.connection.data_received(publish(1))
    bench.connection.pause()
    await eventually(lambda: bench.connection._gathering is None)
    assert not bench.transport.reads
    bench.connection.resume()
    assert bench.transport.reads


async def test_it_reads_no_sooner_than_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_GATHER_SECONDS", 3600.0)
    bench = Bench()
    bench.connection.data_received(publish(1))
    bench.connection.pause()
    bench.connection.resume()
    assert not bench.transport.reads
    bench.connection.connection_lost(None)
    assert bench.connection._gathering is not None
    assert bench.connection._gathering.cancelled()


async def test_one_that_does_not_gather_reads_on() -> None:
    bench = Bench()
    other = Connection(lambda _: None, lambda _: None)
    other.connection_made(bench.transport)
    other.data_received(CONNACK + publish(1))
    await asyncio.sleep(0)
    assert bench.transport.reads
