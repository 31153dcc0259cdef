"""A client library's lines: the first, one a minute, and that they ended."""

import logging
from typing import TYPE_CHECKING

import pytest
from sensorpipe_runtime.throttled_log import QUIET_AFTER, LibraryThrottle

if TYPE_CHECKING:
    from collections.abc import Callable


class Library:
    """A library that logs, what is shown of it, and a clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.shown: list[tuple[float, str, int]] = []
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._throttle = LibraryThrottle(
            "lib",
            self._show,
            clock=lambda: self.now,
            later=lambda seconds, call: self._due.append((self.now + seconds, call)),
        )

    def log(self, text: str, level: int = logging.WARNING, name: str = "lib.part") -> None:
        record = logging.LogRecord(name, level, "", 0, text, None, None)
        if self._throttle.filter(record):
            self._show(record)

    def until(self, now: float) -> None:
        """Let time pass, with whatever is due."""
        while self._due and self._due[0][0] <= now:
            self.now, call = self._due.pop(0)
            call()
        self.now = now

    def _show(self, record: logging.LogRecord) -> None:
        self.shown.append((self.now, record.getMessage(), getattr(record, "hidden", 0)))


@pytest.fixture(autouse=True)
def told_of_ends(caplog: pytest.LogCaptureFixture) -> None:
    """Information is shown."""
    caplog.set_level(logging.INFO)


def test_a_short_outage_is_one_line_at_the_beginning_and_one_at_the_end():
    library = Library()
    for attempt in range(250):  # 8 a second, about 30 s
        library.until(attempt / 8)
        library.log("cannot connect")
    library.until(200)
    end = "The library has stopped logging warnings"
    assert [(text, hidden) for _, text, hidden in library.shown] == [
        ("cannot connect", 0),
        (end, 249),
    ]
    assert library.shown[1][0] <= 250 / 8 + 2 * QUIET_AFTER


def test_a_long_outage_is_a_line_a_minute():
    library = Library()
    for second in range(301):
        library.until(second)
        library.log(f"attempt {second}")
    times = [at for at, _, _ in library.shown]
    assert times == [0, 60, 120, 180, 240, 300]
    assert [hidden for _, _, hidden in library.shown[1:3]] == [58, 59]


def test_something_worse_is_shown_at_once():
    library = Library()
    library.log("slow")
    library.log("not allowed", logging.ERROR)
    library.log("slow again")
    assert [text for _, text, _ in library.shown] == ["slow", "not allowed"]


def test_a_single_line_has_no_end_and_the_next_one_is_a_beginning():
    library = Library()
    library.log("one")
    library.until(100)
    library.log("two")
    library.until(200)
    assert [text for _, text, _ in library.shown] == ["one", "two"]


def test_nothing_is_hidden_where_nothing_can_be_looked_at_later():
    shown: list[logging.LogRecord] = []

    def no_threads(seconds: float, call: object) -> None:
        raise RuntimeError((seconds, call))

    throttle = LibraryThrottle("lib", shown.append, later=no_threads)
    record = logging.LogRecord("lib", logging.WARNING, "", 0, "text", None, None)
    assert [throttle.filter(record) for _ in range(3)] == [True, True, True]


def test_other_loggers_pass():
    library = Library()
    for _ in range(3):
        library.log("ours", name="library")
    assert len(library.shown) == 3


def test_no_end_is_reported_where_information_is_not_wanted(caplog):
    caplog.set_level(logging.WARNING)
    library = Library()
    library.log("one")
    library.log("two")
    library.until(100)
    assert [text for _, text, _ in library.shown] == ["one"]
