"""Which answers never change, so that clients and proxies may keep them.

An answer about a range changes if a late partial is stored, and if retention removes part of it.

A compactor takes readings that are up to 7 days old. How late their partials are stored depends on
Kafka and on the server, which may be days behind. So it is not the clock that says that no more
will come, but what is stored: a facility's partials are stored in the order in which they were
sent, and its rollups are done up to shortly before its newest window. What is older than that by
7 days, the lateness and MARGIN_MS is final, also in a database that was restored from a backup. A
compactor whose clock is days behind would take older readings; its clock is checked.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sensorpipe_schema.reading import MAX_AGE_MS

from sensorpipe_server.api.times import FixedRange
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.rollups.levels import WINDOWS
from sensorpipe_server.storage.rollups.state import RollupState, State

MARGIN_MS: Final = 86_400_000
"""Longest time in milliseconds by which a partial is stored after newer ones of its facility."""

MAX_SECONDS: Final = 31_536_000
"""Longest time in seconds for which an answer may be kept: a year."""

MIN_SECONDS: Final = 3600
"""Shortest time in seconds for which it is worth it to keep an answer."""


class CacheRules(NamedTuple):
    """What the settings say about how long answers remain the same, in milliseconds."""

    lateness_ms: int
    kept_ms: int | None
    """How long windows are kept; None is forever."""

    def seconds(self, asked: FixedRange, state: State, now_ms: int) -> int:
        """Return for how long an answer about a range of one facility certainly stays the same.

        `state` was read before the answer was. Returns 0 if it may change at any time.
        """
        from_ms, to_ms = asked
        final_ms = min(state.done_ms, now_ms) - MAX_AGE_MS - self.lateness_ms - MARGIN_MS
        if to_ms > final_ms or from_ms < state.removed.get(WINDOWS, 0):
            return 0
        if self.kept_ms is None:
            return MAX_SECONDS
        seconds = (from_ms + self.kept_ms - now_ms) // 1000
        return min(seconds, MAX_SECONDS) if seconds >= MIN_SECONDS else 0


class Caching:
    """Returns the header Cache-Control of answers about ranges of facilities."""

    def __init__(self, db: Database, rules: CacheRules) -> None:
        self._state = RollupState(db)
        self._rules = rules

    async def headers(
        self, asked: FixedRange | None, facilities: Sequence[str], now_ms: int
    ) -> dict[str, str]:
        """Return headers for an answer that is still to be read; none if it may change.

        `facilities` are all that the answer can ever be about, so it is empty where a request does
        not name them. `asked` is None where a request does not fix its range.
        """
        if asked is None or not facilities:
            return {}
        return self.headers_given(asked, facilities, await self._state.read(facilities), now_ms)

    def headers_given(
        self,
        asked: FixedRange | None,
        facilities: Sequence[str],
        states: Mapping[str, State],
        now_ms: int,
    ) -> dict[str, str]:
        """Return the same, given the states of the facilities from before the answer was read."""
        if asked is None or not facilities:
            return {}
        seconds = min(
            self._rules.seconds(asked, states.get(name, State()), now_ms) for name in facilities
        )
        return {"Cache-Control": f"public, max-age={seconds}, immutable"} if seconds else {}
