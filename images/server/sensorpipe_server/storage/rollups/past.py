"""Checks partials that are late for rollups: marks these, or refuses removed time ranges."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.pending import Pending, RefusedRecord
from sensorpipe_server.storage.rollups.late_partials import (
    Decision,
    LateOutcome,
    LatePartials,
    UndecidedError,
)
from sensorpipe_server.storage.rollups.levels import LEVELS, WINDOWS, Level
from sensorpipe_server.storage.rollups.state import RollupState, Start, State

WINDOW_REMOVED: Final = "window_removed"
"""Reason of a dead letter whose time range was removed by retention."""

_DETAIL: Final = "windows of this time were removed; see SENSORPIPE_RETENTION"

States = Mapping[str, State]


class Past:
    """Marks rollups that do not hold late partials, and refuses partials of removed ranges."""

    def __init__(self, db: Database) -> None:
        self._state = RollupState(db)
        self._late = LatePartials(database.on_primary(database.rollups(db)))
        self._announced_ms: int | None = None
        """`announced_ms` when last read; `mark` notices what was removed since then."""

    async def refuse(
        self, partials: Sequence[Pending]
    ) -> tuple[list[RefusedRecord], list[Pending]]:
        """Return the partials to refuse, and those that are counted already.

        Both are of time ranges whose windows were removed. A partial is counted already if the
        remaining rollups hold each of its readings. Without `src` and `seq` that is unknown, and
        the partial is refused. Raises UndecidedError if another level is removed meanwhile.
        """
        if self._announced_ms is None:
            self._announced_ms = await self._state.announced()
        behind = [each for each in partials if each.start_ms < self._announced_ms]
        if not behind:
            return [], []
        states = await self._state.read({each.facility for each in behind})
        removed = [each for each in behind if _finest(each, states) != WINDOWS]
        decisions = await self._decisions(removed, states)
        counted = [each for each in removed if _outcome_of(each, decisions) is LateOutcome.COUNTED]
        return (
            [
                RefusedRecord(each.record, WINDOW_REMOVED, _DETAIL)
                for each in removed
                if _outcome_of(each, decisions) is LateOutcome.REFUSED
            ],
            counted,
        )

    async def mark(self, partials: Sequence[Pending]) -> None:
        """Mark the rollups that were computed without these partials, which are durable.

        Raises UndecidedError if their windows were removed meanwhile: repeat the write, so that
        `refuse` finds out whether they were counted before that.
        """
        self._announced_ms = None  # unknown where this fails
        announced_ms, states = await self._state.mark(_starts(partials))
        removed = [each for each in partials if _finest(each, states) != WINDOWS]
        decisions = await self._decisions(removed, states)
        if any(_outcome_of(each, decisions) is not LateOutcome.KEPT for each in removed):
            raise UndecidedError("windows were removed while a partial of them was stored")
        self._announced_ms = announced_ms

    async def _decisions(self, partials: Sequence[Pending], states: States) -> dict[int, Decision]:
        """Return the decisions by `id` of the partials for whose time any level remains.

        If a rollup holds a partial and a coarser one does not, the bucket is marked: the server
        that computed the finer one may have died in between.
        """
        if not partials:
            return {}
        levels: dict[str | None, Level] = {level.name: level for level in LEVELS}
        finest = {id(each): levels.get(_finest(each, states)) for each in partials}
        left = {name: level for name, level in finest.items() if level is not None}
        decisions = await self._late.of([each for each in partials if id(each) in left], left)
        # coarser rollups announced after this read are computed from the finer ones read above
        now = await self._state.read({each.facility for each in partials})
        incomplete = [
            each for each in partials if _is_incomplete(each, decisions.get(id(each)), now)
        ]
        if incomplete:
            now |= await self._state.mark_all(_starts(incomplete))
        if any(_finest(each, now) != _finest(each, states) for each in partials):
            raise UndecidedError("more was removed meanwhile")
        return decisions


def _outcome_of(partial: Pending, decisions: Mapping[int, Decision]) -> LateOutcome:
    """Return the outcome of a partial; without a decision no level remains, and it is refused."""
    found = decisions.get(id(partial))
    return (found and found.outcome) or LateOutcome.REFUSED


def _finest(partial: Pending, states: States) -> str | None:
    """Return the finest level that remains for a partial's time, or WINDOWS; None if none does."""
    return states.get(partial.facility, State()).finest(partial.start_ms)


def _is_incomplete(partial: Pending, decision: Decision | None, states: States) -> bool:
    """Whether a coarser rollup that should exist does not hold a partial of a finer one."""
    if decision is None:
        return False
    announced_ms = states.get(partial.facility, State()).announced_ms
    return any(
        level.start(partial.start_ms) + level.length_ms <= announced_ms
        for level in decision.incomplete_levels
    )


def _starts(partials: Iterable[Pending]) -> set[Start]:
    return {(each.facility, each.start_ms) for each in partials}
