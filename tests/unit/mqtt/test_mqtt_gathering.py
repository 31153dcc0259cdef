"""A connection that gathers: it pauses between reads, less where much comes."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sensorpipe_runtime.mqtt import gathering
from sensorpipe_runtime.mqtt.connection import Connection
from sensorpipe_runtime.mqtt.gathering import Gathering
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
    """Let a read be followed by the next one after a turn of the loop."""
    monkeypatch.setattr(gathering, "LONGEST_SECONDS", 1e-9)


@pytest.mark.usefixtures("soon")
async def test_after_a_small_read_it_waits_and_goes_on() -> None:
    bench = Bench()
    bench.connection.data_received(publish(1))
    assert len(bench.messages) == 1, "what came is passed on at once"
    assert not bench.transport.reads
    await eventually(lambda: bench.transport.reads)
    bench.connection.data_received(publish(2))
    assert not bench.transport.reads


async def test_with_a_backlog_it_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "ENOUGH_BYTES", 1_000)
    bench = Bench()
    bench.connection.data_received(publish(1, b"x" * 1_000))
    assert bench.transport.reads


class Arrivals:
    """Reads of a connection at which so many bytes a second arrive; the kernel keeps a part."""

    def __init__(self) -> None:
        self.now, self.gathering = 0.0, Gathering()

    def pauses(self, bytes_a_second: float, kept: int = 64 * 1024) -> set[float]:
        """Return the pauses in a second, once they have settled."""
        found = []
        ends, read = self.now + 2, 100
        while self.now < ends:
            pause = self.gathering.pause(read, self.now)
            found.append((self.now, pause))
            waited = pause or 0.001
            self.now += waited
            read = min(int(bytes_a_second * waited), kept)
        return {round(pause, 4) for at, pause in found if at > ends - 1}


def test_the_pause_is_shorter_the_more_comes() -> None:
    arrivals, reading = Arrivals(), 95
    assert arrivals.pauses(10 * reading) == {0.04}
    assert arrivals.pauses(10_000 * reading) == {0.04}
    assert arrivals.pauses(20_000 * reading) == {0.02}
    assert arrivals.pauses(40_000 * reading) == {0.01}
    assert arrivals.pauses(200_000 * reading) == {0.0}
    assert arrivals.pauses(20_000 * reading) <= {0.01, 0.02}
    assert arrivals.pauses(10_000 * reading) == {0.04}


def test_a_broker_that_waits_for_acknowledgements_has_a_backlog_still() -> None:
    arrivals = Arrivals()
    assert arrivals.pauses(20e6) == {0.0}
    arrivals.now += 10
    assert arrivals.gathering.pause(100, arrivals.now) == 0.0


@pytest.mark.usefixtures("soon")
async def test_it_reads_no_sooner_than_others_want() -> None:
    bench = Bench()
    bench.connection.data_received(publish(1))
    bench.connection.pause()
    await eventually(lambda: bench.connection._gather_timer is None)
    assert not bench.transport.reads
    bench.connection.resume()
    assert bench.transport.reads


async def test_it_reads_no_sooner_than_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "LONGEST_SECONDS", 3600.0)
    monkeypatch.setattr(gathering, "SHORTEST_SECONDS", 3600.0)
    bench = Bench()
    bench.connection.data_received(publish(1))
    bench.connection.pause()
    bench.connection.resume()
    assert not bench.transport.reads
    bench.connection.connection_lost(None)
    assert bench.connection._gather_timer is not None
    assert bench.connection._gather_timer.cancelled()


async def test_one_that_does_not_gather_reads_on() -> None:
    bench = Bench()
    other = Connection(lambda _: None, lambda _: None)
    other.connection_made(bench.transport)
    other.data_received(CONNACK + publish(1))
    await asyncio.sleep(0)
    assert bench.transport.reads
