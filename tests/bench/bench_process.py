"""Programs under measurement: started as they are in production, their CPU and memory read."""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import psutil
from sensorpipe_cli.runner.child import Child, free_port


def program(
    name: str, argv: list[str], folder: Path, environ: Mapping[str, str]
) -> AbstractAsyncContextManager[Child]:
    """Run a Python program with these settings, and stop it afterwards."""
    return process(name, [sys.executable, *argv], folder, environ)


@asynccontextmanager
async def process(
    name: str, command: list[str], folder: Path, environ: Mapping[str, str]
) -> AsyncIterator[Child]:
    """Run any program with these settings, and stop it afterwards."""
    settings = {
        "SENSORPIPE_HTTP": f"127.0.0.1:{free_port()}",
        "SENSORPIPE_MONITORING": "127.0.0.1:0",
        "SENSORPIPE_LOG_LEVEL": "WARNING",
    }
    child = Child(
        name,
        command,
        folder / f"{name}.log",
        environ=os.environ | settings | dict(environ),
        port=int((settings | dict(environ))["SENSORPIPE_HTTP"].rpartition(":")[2]),
    )
    await child.start()
    try:
        yield child
    finally:
        await child.stop()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, all threads together."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def children_cpu_seconds(pid: int) -> float:
    """Return the CPU time that the children of a process have used, such as the server's API."""
    return sum(cpu_seconds(child.pid) for child in psutil.Process(pid).children())


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6
