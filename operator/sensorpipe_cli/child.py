"""One child process: started with its output in a file, awaited, stopped, never left behind."""

import asyncio
import ctypes
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


class ChildError(RuntimeError):
    """A child ended or did not come up; the text ends with its last log lines."""


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
        """Its process id."""
        return self._running.pid

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.returncode if self._process else None

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process

    async def start(self) -> None:
        """Start the process; it ends when this one does, however that happens."""
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environ,
                start_new_session=True,  # a Ctrl-C at the terminal is ours to pass on, in order
                preexec_fn=_die_with_parent,
            )

    async def listening(self, seconds: float = 60) -> None:
        """Return once the port accepts connections; raise ChildError if it never does."""
        try:
            async with asyncio.timeout(seconds):
                while not _accepts(self.port):
                    if self.returncode is not None:
                        raise ChildError(self.epitaph())
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise ChildError(
                f"{self.name} did not listen on port {self.port}\n{self.tail()}"
            ) from error

    async def wait(self) -> int:
        """Return the exit code once it ends."""
        return await self._running.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.returncode is None:
            self._running.send_signal(number)

    async def stop(self, seconds: float = 15) -> int:
        """Terminate it, kill it if that takes longer than `seconds`; return the exit code."""
        if self._process is None:
            return 0
        self.send(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self._running.wait(), seconds)
        except TimeoutError:
            self.send(signal.SIGKILL)
            return await self._running.wait()

    def tail(self, lines: int = 15) -> str:
        """Return its last log lines."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def epitaph(self) -> str:
        """Say how it ended, with its last log lines."""
        code = self.returncode
        how = (
            f"was ended by signal {-code}"
            if code is not None and code < 0
            else f"exited with {code}"
        )
        return f"{self.name} {how}; its last log lines:\n{self.tail()}"


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int | None) -> bool:
    if port is None:
        return True
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
