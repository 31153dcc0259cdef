"""One child process: started with its output in a log file, stopped, never orphaned."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sensorpipe_cli.runner.ports import LOOPBACK, accepts, free_port
from sensorpipe_cli.terminal_text import printable_line

__all__ = ["Child", "ChildError", "free_port"]

_TAIL_BYTES: Final = 65_536
"""Size of the end of a log that is read for its last lines."""

# prctl(PR_SET_PDEATHSIG, SIGKILL) survives exec; if the parent died before it, no signal is sent,
# hence the check of getppid. In a launcher and not in preexec_fn, which is unsafe with threads.
_LAUNCHER: Final = """\
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]): os._exit(1)
try: os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error: sys.exit(f"cannot run {sys.argv[2]}: {error.strerror}")
"""


class ChildError(RuntimeError):
    """A child exited or did not start; the message ends with its last log lines."""


class Child:
    """A process of the pipeline, with its log at `log`."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        *,
        environ: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.port = port
        self._argv = list(argv)
        self._environ = environ
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._running.pid

    @property
    def returncode(self) -> int | None:
        """Exit code of the child, negative for a signal; None while it runs."""
        return self._process.returncode if self._process else None

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    async def start(self) -> None:
        """Start the process; on Linux it is killed when this process ends, however that happens."""
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *_launch_command(self._argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environ,
                start_new_session=True,  # a Ctrl-C at the terminal is ours to pass on, in order
            )

    async def listening(self, seconds: float = 60) -> None:
        """Wait until the port accepts connections; raise ChildError on exit or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not (self.port is None or accepts(LOOPBACK, self.port)):
                    if self.returncode is not None:
                        raise ChildError(self.exit_report())
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise ChildError(
                f"{self.name} did not listen on port {self.port}; "
                f"its last log lines:\n{self.tail()}"
            ) from error

    async def wait(self) -> int:
        """Wait until the child exits and return the exit code."""
        return await self._running.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal if the child is still running."""
        if self._process is not None and self.returncode is None:
            self._process.send_signal(number)

    async def stop(self, seconds: float = 15) -> int:
        """Terminate the child, kill it after `seconds`; return the exit code."""
        if self._process is None:
            return 0
        self.send(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """Kill the child with SIGKILL and return the exit code."""
        self.send(signal.SIGKILL)
        return await self._process.wait() if self._process else 0

    def head(self, lines: int = 15) -> str:
        """Return the child's first log lines."""
        try:
            with self.log.open("rb") as log:
                text = log.read(_TAIL_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(map(printable_line, text.split("\n")[:lines]))

    def tail(self, lines: int = 15) -> str:
        """Return the child's last log lines."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(map(printable_line, text.rstrip("\n").split("\n")[-lines:]))

    def exit_report(self) -> str:
        """Return a text with the child's exit code or signal and its last log lines."""
        code = self.returncode
        how = (
            f"was killed by {_signal_name(-code)}"
            if code is not None and code < 0
            else f"exited with {code}"
        )
        return f"{self.name} {how}; its last log lines:\n{self.tail()}"


def _launch_command(argv: Sequence[str]) -> list[str]:
    if sys.platform != "linux":
        return list(argv)
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *argv]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
