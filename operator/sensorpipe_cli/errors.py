"""The exit codes, and the error that ends a command before it starts."""

from typing import Final

OK: Final = 0
"""Every reading is stored exactly once."""
FAULT: Final = 1
"""Readings are lost, duplicate, refused or not stored; or a process of the pipeline crashed."""
UNUSABLE: Final = 2
"""Nothing was started or verified: bad files or options, or the server cannot be reached."""
SET_ASIDE: Final = 3
"""Nothing is lost or duplicate, but there are dead letters."""
INTERRUPTED: Final = 130
"""Interrupted by Ctrl-C before everything was ready, or by a second Ctrl-C."""


class UnusableError(Exception):
    """A command cannot start; `problems` holds all the reasons, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
