"""What ends a command early, and with which exit code."""

from typing import Final

OK: Final = 0
"""Every reading is stored exactly once."""
FAULT: Final = 1
"""Readings are lost, doubled or not stored; or a part of the pipeline ended by itself."""
UNUSABLE: Final = 2
"""Nothing was started or judged: bad files or options, or a server that cannot be asked."""
INTERRUPTED: Final = 130
"""Ctrl-C before everything was up, or a second one, which stops at once."""


class UnusableError(Exception):
    """Nothing can begin; `problems` are all the reasons at once, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
