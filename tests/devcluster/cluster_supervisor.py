"""Runs the parts of a node and starts again what ends, as process 1 of the cluster."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable

from cluster_layout import Layout
from cluster_network import ENTER
from cluster_parts import Part

_WAIT_SECONDS = 120.0
_TAIL = 2000
_MOST_RESTARTS = 20


class StartError(RuntimeError):
    """The node did not come up; the text ends with the log of the part to blame."""


class Supervisor:
    """The running parts, by process id."""

    def __init__(self, layout: Layout, environ: dict[str, str]) -> None:
        self._layout = layout
        self._environ = environ
        self._running: dict[int, tuple[Part, subprocess.Popen[bytes]]] = {}
        self._restarts = 0

    def start(self, part: Part) -> None:
        """Start it in the cluster's network, with its log in a file."""
        with self._layout.log(part.name).open("ab") as log:
            process = subprocess.Popen(
                [*ENTER, *part.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environ,
                start_new_session=True,
            )
        self._running[process.pid] = part, process

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for it while all parts run, or raise StartError."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while not condition():
            for part, process in self._running.values():
                if process.poll() is not None:
                    raise StartError(f"{part.name} ended:\n{self._tail(part)}")
            if time.monotonic() > deadline:
                raise StartError(f"no {what} within {_WAIT_SECONDS:.0f} s; the logs tell more")
            time.sleep(0.05)

    def run(self, *, owned: bool) -> None:
        """Restart what ends; return when the owner at the other end of stdin is gone."""
        watched = [sys.stdin] if owned else []
        while not select.select(watched, [], [], 0.2)[0]:
            self._reap()

    def _reap(self) -> None:
        """Process 1 also inherits the orphans of all others, which ask for nothing more."""
        while (ended := _next_ended()) is not None:
            pid, status = ended
            if pid not in self._running:
                continue
            part, process = self._running.pop(pid)
            process.returncode = os.waitstatus_to_exitcode(status)
            self._restarts += 1
            if self._restarts > _MOST_RESTARTS:
                raise StartError(f"{part.name} ended once too often:\n{self._tail(part)}")
            self.start(part)

    def _tail(self, part: Part) -> str:
        return self._layout.log(part.name).read_text(errors="replace")[-_TAIL:]


def _next_ended() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None
