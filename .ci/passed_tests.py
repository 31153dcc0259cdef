"""A pytest plugin by which two runs share the tests, so that each runs once.

One notes the tests that passed, the other leaves these out: what skipped or failed in the first, or
was not there, runs in the second. Load it by `PYTHONPATH=.ci pytest -p passed_tests`. A file that
is to be left out may be missing, as after a run that ended before its first test.
"""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options, each with a file of test ids, one a line."""
    group = parser.getgroup("passed tests")
    group.addoption("--note-passed", type=Path, metavar="FILE", help="add tests that pass to FILE")
    group.addoption(
        "--but-passed", type=Path, metavar="FILE", action="append", help="leave out those in FILE"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start the notes, if they are asked for."""
    if (file := config.getoption("note_passed")) is not None:
        config.pluginmanager.register(Notes(file))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests whose exact ids are noted."""
    files = [file for file in config.getoption("but_passed") or () if file.exists()]
    passed = {line for file in files for line in file.read_text(encoding="utf-8").splitlines()}
    left_out = [item for item in items if item.nodeid in passed]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item.nodeid not in passed]


class Notes:
    """Writes the id of each test that passed, its fixtures' ends included."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", encoding="utf-8")
        self._called: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look at the outcome of one phase of one test."""
        if report.when == "call" and report.passed:
            self._called.add(report.nodeid)
        elif report.when == "teardown" and report.passed and report.nodeid in self._called:
            print(report.nodeid, file=self._file, flush=True)

    def pytest_unconfigure(self) -> None:
        """Close the file."""
        self._file.close()
