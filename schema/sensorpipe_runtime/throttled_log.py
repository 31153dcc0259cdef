"""Keeps what fails again and again from filling a program's log."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

SHOWN_EVERY: Final = 60.0
"""Seconds between two log lines about one thing that stays wrong."""

QUIET_AFTER: Final = 15.0
"""Seconds without a log line after which a library's problem counts as over."""

_log_levels = logging.getLogger()


class ThrottledLogger:
    """Logs a warning when it is new, once a minute while it repeats, and when it is resolved.

    A warning is new, too, where its message or fields differ from the last one shown; with
    `on_change=False` they may differ, as the text of an error does that holds a time. Shown
    lines have the field `count`: how many warnings there were since the last was resolved.
    Seconds are those of `clock`, which must be monotonic.
    """

    def __init__(
        self,
        log: logging.Logger,
        *,
        on_change: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._on_change = on_change
        self._clock = clock
        self._shown: object = None
        self._shown_at = 0.0
        self._count = 0

    def warning(self, message: str, **fields: object) -> bool:
        """Return whether the warning was logged; a repeated one is logged at level DEBUG."""
        now, warning = self._clock(), (message, fields) if self._on_change else message
        self._count += 1
        is_due = warning != self._shown or now - self._shown_at >= SHOWN_EVERY
        if is_due:
            self._shown, self._shown_at = warning, now
        level = logging.WARNING if is_due else logging.DEBUG
        self._log.log(level, message, extra={**fields, "count": self._count})
        return is_due

    def resolved(self, message: str, **fields: object) -> None:
        """Log at level INFO that what was warned of is over, if anything was."""
        if self._count:
            self._log.info(message, extra={**fields, "count": self._count})
            self.reset()

    def reset(self) -> None:
        """Count the next warning as new, without a line that the last is over."""
        self._shown, self._count = None, 0


@dataclass(slots=True)
class _Episode:
    """Lines of one library, each less than `QUIET_AFTER` seconds after the one before."""

    began: float
    newest: float
    shown: float
    level: int
    last: logging.LogRecord
    hidden: int = 0
    """Number of lines that were not shown, in all."""
    since_shown: int = 0
    """Number of lines that were not shown since the last shown one."""


def _in_a_thread(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


class LibraryThrottle(logging.Filter):
    """Filter of a log handler: passes the first line of a library, then the latest each minute.

    Lines of other loggers pass. A line of a higher level than those before passes at once.
    When the library has logged nothing for 15 s, a last line says so. `emit` writes a record
    without filters, also from another thread. Passed lines have the field `hidden`, the
    number of lines left out.
    """

    def __init__(
        self,
        library: str,
        emit: Callable[[logging.LogRecord], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], None] = _in_a_thread,
    ) -> None:
        super().__init__(library)
        self._emit = emit
        self._clock = clock
        self._later = later
        self._lock = threading.Lock()
        self._episode: _Episode | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to show a line now."""
        if not super().filter(record):
            return True
        with self._lock:
            now, episode = self._clock(), self._episode
            if episode is None:
                self._episode = _Episode(now, now, now, record.levelno, record)
                self._look_later()
                return True
            episode.newest, episode.last = now, record
            if record.levelno > episode.level:
                episode.level, episode.shown, episode.since_shown = record.levelno, now, 0
                return True
            episode.hidden += 1
            episode.since_shown += 1
            return False

    def _look(self) -> None:
        """Show the latest line each minute until the library logs nothing."""
        with self._lock:
            now, episode = self._clock(), self._episode
            if episode is None:
                return
            if now - episode.newest >= QUIET_AFTER:
                self._episode = None
                if episode.hidden and _log_levels.isEnabledFor(logging.INFO):
                    self._emit(self._end(episode))
                return
            if episode.since_shown and now - episode.shown >= SHOWN_EVERY:
                episode.last.hidden = episode.since_shown - 1
                self._emit(episode.last)
                episode.shown, episode.since_shown = now, 0
            self._look_later()

    def _look_later(self) -> None:
        try:
            self._later(QUIET_AFTER, self._look)
        except RuntimeError:  # no more threads: then every line counts as the first
            self._episode = None

    def _end(self, episode: _Episode) -> logging.LogRecord:
        fields = {
            "name": self.name,
            "levelno": logging.INFO,
            "levelname": "INFO",
            "msg": "The library has stopped logging warnings",
            "seconds": round(episode.newest - episode.began, 1),
            "hidden": episode.hidden,
        }
        return logging.makeLogRecord(fields)
