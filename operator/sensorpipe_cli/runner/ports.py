"""Free loopback ports, each reserved against other runs while this process runs."""

import secrets
import socket
import sys
from collections import deque
from collections.abc import Iterator
from typing import Final

LOOPBACK: Final = "127.0.0.1"

_LOW, _HIGH = 20_000, 32_768
"""Range of ports, below those for outgoing connections, which could take a port chosen here."""

_BLOCK: Final = 64
"""Number of ports that a process reserves at once."""

_NAME = "\0sensorpipe-ports-"
"""Prefix of the names of the sockets that reserve blocks. On Linux only one process in a network
namespace can have such a name, whatever its root folder; it is free when the process ends."""

_unused: deque[int] = deque()
_handed_out: deque[int] = deque()


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return `count` different loopback ports that nothing listens on now.

    On Linux they stay reserved: no other process gets one of them from this function while this
    one runs, nor does this one get it again while it can reserve others. Elsewhere, or if other
    processes have reserved every block, they are only free at the time of the call.
    """
    ports: list[int] = []
    candidates = _candidates()
    while len(ports) < count:
        port = next(candidates)
        if port not in ports and is_free(port):
            ports.append(port)
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        return _bind(probe, port)


def is_free_at(host: str, port: int) -> bool:
    """Whether a server could listen on this port of an address of this machine now."""
    with socket.socket() as probe:
        return _bind(probe, port, host)


def accepts(host: str, port: int, seconds: float = 0.5) -> bool:
    """Whether a TCP connection to this address succeeds within `seconds`."""
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError:
        return False
    return True


def _bind(probe: socket.socket, port: int, host: str = LOOPBACK) -> bool:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: no TIME_WAIT
    try:
        probe.bind((host, port))
    except OSError:
        return False
    return True


def _candidates() -> Iterator[int]:
    """Yield reserved ports never handed out, then those handed out longest ago, then any."""
    while _unused or _reserve():
        _handed_out.append(_unused.popleft())
        yield _handed_out[-1]
    for _ in range(len(_handed_out)):
        _handed_out.append(_handed_out.popleft())
        yield _handed_out[-1]
    while True:
        yield _LOW + secrets.randbelow(_HIGH - _LOW)  # which no test's seed repeats


def _reserve() -> bool:
    """Reserve one more block until this process ends; return whether there was one."""
    if sys.platform != "linux":
        return False
    count = (_HIGH - _LOW) // _BLOCK
    first = secrets.randbelow(count)
    for number in ((first + step) % count for step in range(count)):
        block = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            block.bind(f"{_NAME}{number}")
        except OSError:  # another process holds it
            block.close()
            continue
        block.detach()  # it stays open until the process ends
        start = _LOW + number * _BLOCK
        _unused.extend(range(start, start + _BLOCK))
        return True
    return False
