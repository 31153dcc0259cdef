"""Warns of messages that are no readings: of each reason and topic, the first in a minute."""

import logging
from collections.abc import Iterable
from typing import Final

from sensorpipe_compactor.windowing.kept_messages import DeadLetter

WARN_EVERY_MS: Final = 60_000
"""Milliseconds after which a reason and topic are warned of again."""

MAX_WARNINGS: Final = 100
"""Largest number of warnings within that time; one more says how many messages had none."""

_SHOWN: Final = 200
"""Largest number of characters shown of a topic or detail."""

log = logging.getLogger(__name__)


class RefusalLog:
    """Logs dead letters for those who wonder why nothing comes in."""

    def __init__(self) -> None:
        self._since_ms = 0
        self._warned: set[tuple[str, str]] = set()
        self._unshown = 0

    def note(self, letters: Iterable[DeadLetter], steady_ms: int) -> None:
        """Warn of what was refused; `steady_ms` is the monotonic time in milliseconds."""
        if steady_ms - self._since_ms >= WARN_EVERY_MS:
            self._start_again(steady_ms)
        for letter in letters:
            key = (letter.reason, letter.topic)
            if key in self._warned:
                continue
            if len(self._warned) >= MAX_WARNINGS:
                self._unshown += 1
                continue
            self._warned.add(key)
            log.warning(
                "A message is no reading; it is in the dead letters",
                extra={
                    "reason": letter.reason,
                    "topic": letter.topic[:_SHOWN],
                    "detail": letter.detail[:_SHOWN],
                    "feed": letter.feed,
                },
            )

    def _start_again(self, steady_ms: int) -> None:
        if self._unshown:
            log.warning(
                "More messages were no readings than are shown", extra={"messages": self._unshown}
            )
        self._since_ms, self._unshown = steady_ms, 0
        self._warned.clear()
