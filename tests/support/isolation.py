"""What makes a unit test one: it starts no process and talks to no socket."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

_FORBIDDEN: Final = frozenset(
    ("os.fork", "os.posix_spawn", "os.system", "socket.bind", "socket.connect", "subprocess.Popen")
)

_enforced = False


class IsolationError(Exception):
    """A unit test started a process or used a socket: it belongs into tests/integration."""


@contextmanager
def enforced(*, on: bool) -> Iterator[None]:
    """Raise IsolationError inside, where `on`, at whatever starts a process or uses a socket."""
    global _enforced  # noqa: PLW0603  an audit hook cannot be removed, only told to look away
    _enforced = on
    try:
        yield
    finally:
        _enforced = False


def _audit(event: str, _: tuple[Any, ...]) -> None:
    if _enforced and event in _FORBIDDEN:
        raise IsolationError(event)


sys.addaudithook(_audit)
