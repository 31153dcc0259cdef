"""Who reads slowly gets the whole answer; who reads nothing is cut off. Without a socket."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import uvicorn
from sensorpipe_server.api.http.limits import HttpLimits
from sensorpipe_server.api.http.protocol import LimitedProtocol
from starlette.applications import Starlette
from uvicorn.server import ServerState

MIB = 1024 * 1024


class Timer:
    """Something that happens later, unless it is cancelled."""

    def __init__(self, seconds: float, what: Callable[[], None]) -> None:
        self.seconds, self.what, self.is_waiting = seconds, what, True

    def cancel(self) -> None:
        self.is_waiting = False


class Loop:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []

    def call_later(self, seconds: float, what: Callable[[], None]) -> Timer:
        self.timers.append(Timer(seconds, what))
        return self.timers[-1]

    def waiting(self) -> list[Timer]:
        """Return those that cut a reader off."""
        seconds = HttpLimits().unread_seconds
        return [one for one in self.timers if one.is_waiting and one.seconds == seconds]

    def pass_time(self) -> None:
        """Let the time for reading pass once."""
        (timer,) = self.waiting()
        timer.is_waiting = False
        timer.what()


class Transport:
    """A connection with so many bytes still to be taken by the client."""

    def __init__(self) -> None:
        self.unread = 0
        self.aborts = 0

    def get_write_buffer_size(self) -> int:
        return self.unread

    def get_extra_info(self, _name: str) -> None:
        return None

    def abort(self) -> None:
        self.aborts += 1


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def protocol(loop: Loop, transport: Transport) -> LimitedProtocol:
    config = uvicorn.Config(Starlette(), lifespan="off", log_config=None)
    made = LimitedProtocol(config, ServerState(), {}, cast("Any", loop))
    made.connection_made(cast("Any", transport))
    return made


def test_a_reader_that_takes_something_each_time_is_never_cut_off(
    protocol: LimitedProtocol, loop: Loop, transport: Transport
) -> None:
    transport.unread = 10 * MIB  # of an answer written at once
    protocol.pause_writing()
    for _ in range(9):
        transport.unread -= MIB
        loop.pass_time()
        assert transport.aborts == 0
    transport.unread = 0
    protocol.resume_writing()
    assert loop.waiting() == []


def test_a_reader_that_takes_nothing_any_more_is_cut_off(
    protocol: LimitedProtocol, loop: Loop, transport: Transport
) -> None:
    transport.unread = 10 * MIB
    protocol.pause_writing()
    transport.unread -= 1
    loop.pass_time()
    assert transport.aborts == 0
    loop.pass_time()
    assert transport.aborts == 1
    assert loop.waiting() == []


def test_a_reader_that_has_all_is_not_cut_off(
    protocol: LimitedProtocol, loop: Loop, transport: Transport
) -> None:
    transport.unread = MIB
    protocol.pause_writing()
    transport.unread = 0
    loop.pass_time()
    assert transport.aborts == 0
    assert loop.waiting() == []
