"""Saying what is wrong once, however often it is found."""

import logging
import time
from collections.abc import Callable
from typing import Final

_AGAIN_AFTER: Final = 300.0


class Complaint:
    """Logs a warning when it is new, when another came in between, and again every 5 minutes."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._said: object = None
        self._said_at = 0.0

    def say(self, message: str, **fields: object) -> None:
        """Log the message with its fields, unless that was the last thing said."""
        now, what = self._clock(), (message, fields)
        if what == self._said and now < self._said_at + _AGAIN_AFTER:
            self._log.debug(message, extra=fields)
            return
        self._said, self._said_at = what, now
        self._log.warning(message, extra=fields)

    def reset(self) -> None:
        """Let the same count as new again."""
        self._said = None

    def settled(self, message: str, **fields: object) -> None:
        """Log that it is over, if there was a complaint."""
        if self._said is not None:
            self._said = None
            self._log.info(message, extra=fields)
