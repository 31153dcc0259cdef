"""Loopback ports for the parts of a run."""

import secrets
import socket
from contextlib import ExitStack
from typing import Final

LOOPBACK: Final = "127.0.0.1"

_LOW, _HIGH = 20_000, 32_767
"""Below what systems hand to outgoing connections, so none of those takes a port chosen here."""


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return as many different loopback ports that nothing listens on now."""
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            probe = held.enter_context(socket.socket())
            port = _LOW + secrets.randbelow(_HIGH - _LOW)  # which no test's seed repeats
            if port not in ports and _bind(probe, port):
                ports.append(port)
        return ports


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        return _bind(probe, port)


def accepts(host: str, port: int, seconds: float = 0.5) -> bool:
    """Whether something there accepts connections."""
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError:
        return False
    return True


def _bind(probe: socket.socket, port: int) -> bool:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: no TIME_WAIT
    try:
        probe.bind((LOOPBACK, port))
    except OSError:
        return False
    return True
