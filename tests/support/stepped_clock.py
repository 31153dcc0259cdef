"""A clock of its own for a program that a test runs, stepped while it runs."""

from pathlib import Path
from typing import Final

import pytest

FAKETIME: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
"""What steps a program's wall clock; Debian's package faketime."""


class SteppedClock:
    """Sets by how many seconds a program's wall clock is off; its monotonic clock goes on."""

    def __init__(self, file: Path, seconds: int = 0) -> None:
        if not FAKETIME.exists():
            pytest.skip("no faketime here; `apt-get install faketime` brings it")
        self._file = file
        self.step(seconds)

    def step(self, seconds: int) -> None:
        """Set the clock off by `seconds` from now on."""
        self._file.write_text(f"{seconds:+d}\n")

    @property
    def environ(self) -> dict[str, str]:
        """Variables for the program."""
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
