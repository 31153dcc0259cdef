"""Recomputes marked rollups; `rollups.state` describes the steps."""

from collections.abc import Iterable, Sequence

from sensorpipe_server.storage.pace import Pace
from sensorpipe_server.storage.rollups.levels import LEVELS
from sensorpipe_server.storage.rollups.state import Marker, RollupState
from sensorpipe_server.storage.rollups.writer import RollupWriter


class Renewal:
    """Recomputes marked buckets, and the coarser rollups made from them."""

    def __init__(self, state: RollupState, writer: RollupWriter, pace: Pace) -> None:
        self._state = state
        self._writer = writer
        self._pace = pace

    async def renew(self, facility: str, markers: Sequence[Marker]) -> None:
        """Recompute the marked buckets of a facility, and the coarser rollups made from them.

        Buckets that were never computed before stay marked.
        """
        done_ms = (await self._state.of(facility)).done_ms
        markers = [each for each in markers if each.start_ms < done_ms]
        starts: Iterable[int] = {each.start_ms for each in markers}
        for level in LEVELS:
            announced_ms = (await self._state.of(facility)).announced_ms
            starts = {level.start(start_ms) for start_ms in starts}
            starts = {each for each in starts if each + level.length_ms <= announced_ms}
            for start_ms in sorted(starts):
                await self._writer.renew(facility, level, start_ms)
                await self._pace.rest()
        for each in markers:
            await self._state.unmark(each)
