"""Running the programs of others, and telling what they said when they fail."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_TAIL = 4000


class CommandError(RuntimeError):
    """A program failed; the text is its name, its status and the end of what it said."""


def attempt(
    *command: str,
    stdin: str | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever that is; without `stdin` there is nothing to read."""
    return subprocess.run(
        command,
        check=False,
        input=stdin or "",
        capture_output=True,
        text=True,
        env=environ if environ is None else {**os.environ, **environ},
        cwd=folder,
        timeout=timeout,
    )


def run(
    *command: str,
    stdin: str | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeout: float | None = None,
) -> str:
    """Return what a command printed, or raise CommandError."""
    done = attempt(*command, stdin=stdin, environ=environ, folder=folder, timeout=timeout)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-_TAIL:]
        raise CommandError(f"{' '.join(command[:2])} failed with {done.returncode}: {said}")
    return done.stdout
