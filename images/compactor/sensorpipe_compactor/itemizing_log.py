"""Logs why readings are itemized, and until when."""

import logging
from typing import Final

from sensorpipe_runtime.throttled_log import ThrottledLogger
from sensorpipe_schema.reading import MAX_AHEAD_MS

from sensorpipe_compactor.clock_check import Instant
from sensorpipe_compactor.epoch.horizon import Horizon

_UNSURE_MS: Final = 120_000
"""Milliseconds for which nothing is logged: sources confirm a right clock in half of them."""

_UNSURE: Final = (
    "Readings are itemized until sources confirm this machine's clock, as Kafka does not tell "
    "which of them are durable: compare the clocks of this machine and of the sources"
)

_SHARED: Final = (
    "Readings are itemized, as SENSORPIPE_TAKING_OVER is true: set it to false once no other "
    "compactor takes the same topics"
)

_AHEAD: Final = (
    "Readings are itemized until the time to which stored readings reach, which is ahead of this "
    "machine's clock: a clock is wrong, or was when they were stored"
)

log = logging.getLogger(__name__)


class ItemizingLog:
    """Warns once a minute while readings are itemized for longer than a start explains.

    `window_ms` is the length of a window in milliseconds: timely readings may reach so far, and
    the minute of the contract, ahead of the clock.
    """

    def __init__(self, window_ms: int) -> None:
        self._throttled_log = ThrottledLogger(log, on_change=False)
        self._timely_ms = MAX_AHEAD_MS + window_ms
        self._itemized = 0
        self._unsure_since_ms: int | None = None

    def update(self, horizon: Horizon, now: Instant, itemized: int) -> None:
        """Log what the horizon explains; `itemized` is the number of readings since the start."""
        if not horizon.is_sure:
            if self._unsure_since_ms is None:
                self._unsure_since_ms = now.steady_ms
            if now.steady_ms - self._unsure_since_ms >= _UNSURE_MS:
                self._warn(itemized, _SHARED if horizon.is_shared else _UNSURE)
            return
        self._unsure_since_ms = None
        ahead_ms = horizon.newest_ms - now.wall_ms
        if ahead_ms > self._timely_ms:
            left = round(ahead_ms / 1000)
            self._warn(itemized, _AHEAD, certain_from_ms=horizon.newest_ms, seconds_left=left)
        elif ahead_ms <= 0:
            self._throttled_log.resolved("New readings are certain again", itemized=itemized)

    def _warn(self, itemized: int, message: str, **fields: int) -> None:
        """Warn if readings were itemized since the last look."""
        if itemized > self._itemized:
            self._throttled_log.warning(message, itemized=itemized, **fields)
        self._itemized = itemized
