"""Publishers that begin at `seq` 1 again under their old `src`: counted, and warned of."""

import logging
from typing import Final

WARN_EVERY_MS: Final = 60_000
"""Milliseconds between two warnings."""

NAMED: Final = 5
"""Largest number of publishers named in one warning, and remembered until then."""

log = logging.getLogger(__name__)


class ReusedSources:
    """Counts readings whose `seq` was counted before for an older reading of the same source."""

    def __init__(self) -> None:
        self.total = 0
        """Readings dropped since the start."""
        self._sources: dict[tuple[str, str], int] = {}
        self._unreported = 0
        self._warn_again_ms: int | None = None

    def note(self, facility: str, src: str) -> None:
        """Count a reading that was dropped."""
        self.total += 1
        self._unreported += 1
        key = (facility, src)
        if key in self._sources or len(self._sources) < NAMED:
            self._sources[key] = self._sources.get(key, 0) + 1

    def warn_if_due(self, steady_ms: int) -> None:
        """Warn of what was counted since the last warning, at most once a minute.

        `steady_ms` is the monotonic time in milliseconds.
        """
        if not self._unreported or (
            self._warn_again_ms is not None and steady_ms < self._warn_again_ms
        ):
            return
        named = [{"facility": f, "src": s, "readings": n} for (f, s), n in self._sources.items()]
        log.warning(
            "Publishers count from the beginning again under a src that was used before: what they "
            "send is dropped as repeats; give each start of a publisher a new src",
            extra={"readings": self._unreported, "sources": named},
        )
        self._sources.clear()
        self._unreported = 0
        self._warn_again_ms = steady_ms + WARN_EVERY_MS
