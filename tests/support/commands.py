"""The command line as a process, asking a server."""

import asyncio
import os
import sys


async def start(url: str, *args: str) -> asyncio.subprocess.Process:
    """Start a command that asks the server at `url`."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sensorpipe_cli", *args,
        env={**os.environ, "SENSORPIPE_URL": url},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def run(url: str, *args: str) -> tuple[int | None, str, str]:
    """Return exit code, output and errors of a command."""
    process = await start(url, *args)
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()
