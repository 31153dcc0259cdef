"""Shows a run: live in a terminal, otherwise in plain lines."""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Final

from sensorpipe_cli.client.figures import Snapshot
from sensorpipe_cli.views.plain import StatusLines

_LIVE_SECONDS: Final = 0.5
"""Time between two drawings of the live view."""
_PLAIN_SECONDS: Final = 0.1
"""Time between two looks for new lines."""

Take = Callable[[], Snapshot]


async def live(take: Take) -> None:
    """Redraw the live view until cancelled, then remove it from the screen."""
    from rich.console import Console  # noqa: PLC0415  only where there is a terminal
    from rich.live import Live  # noqa: PLC0415  likewise

    from sensorpipe_cli.views.live import render  # noqa: PLC0415  likewise

    console = Console()
    with Live(console=console, auto_refresh=False, transient=True) as screen:
        while True:
            screen.update(render(take(), console), refresh=True)
            await asyncio.sleep(_LIVE_SECONDS)


async def plain(take: Take, echo: Callable[[str], None]) -> None:
    """Print new lines until cancelled, and the last ones after that."""
    status_lines = StatusLines()
    try:
        while True:
            _echo_new(status_lines, take, echo)
            await asyncio.sleep(_PLAIN_SECONDS)
    finally:
        _echo_new(status_lines, take, echo)


def echo(line: str) -> None:
    """Print and flush a line; raise OSError if stdout is closed."""
    print(line, flush=True)  # noqa: T201  this is a command for people


def discard_output() -> None:
    """Redirect stdout to the null device after printing failed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _echo_new(status_lines: StatusLines, take: Take, echo: Callable[[str], None]) -> None:
    for line in status_lines.update(take()):
        echo(line)
