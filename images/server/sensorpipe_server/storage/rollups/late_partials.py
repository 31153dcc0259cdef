"""Decides whether a partial of removed windows is counted or refused, by a sealed rollup."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from enum import Enum, auto
from typing import Final, NamedTuple

from pymongo.errors import PyMongoError
from sensorpipe_schema.compacted_reading_pb2 import CompactedReading, SensorSummary
from sensorpipe_schema.intervals import Interval, IntervalSet

from sensorpipe_server.storage.documents import Document
from sensorpipe_server.storage.mongodb.database import Collection
from sensorpipe_server.storage.pace import aside
from sensorpipe_server.storage.pending import Pending
from sensorpipe_server.storage.queries import in_batches
from sensorpipe_server.storage.rollups.levels import LEVELS, Level, finer, read_rollup
from sensorpipe_server.storage.rollups.sealing import RollupKey, seal
from sensorpipe_server.storage.summaries import count_seqs, sources_of

MAX_ROLLUPS: Final = 100
"""Largest number of rollups that one query asks for."""


class UndecidedError(PyMongoError):
    """A level or rollup changed while a partial was being decided on: repeat the write."""


class LateOutcome(Enum):
    """What happens to a partial whose windows were removed."""

    REFUSED = auto()
    """It becomes a dead letter: no rollup holds it, and none ever will."""
    COUNTED = auto()
    """It is a redelivery: rollups hold each of its readings."""
    KEPT = auto()
    """It is stored: its bucket's windows were kept, as their rollup is too large to store."""


class Decision(NamedTuple):
    """The outcome of a partial, or the level whose rollup must be sealed first."""

    outcome: LateOutcome | None
    level: Level
    """Level of the rollup that decides, or that must be sealed."""
    incomplete_levels: tuple[Level, ...] = ()
    """Coarser levels without a rollup, or whose rollup does not hold the partial."""


class RollupCheck(NamedTuple):
    """Whether one rollup is sealed, and whether it holds a partial."""

    is_sealed: bool
    holds: bool | None
    """Whether it holds each reading of the partial; None if the rollup is too large to store."""


def decide(finest: Level, found: Mapping[Level, RollupCheck]) -> Decision:
    """Decide on a partial by the finest level that remains and the rollups found for it."""
    level = finest
    while True:
        rollup = found.get(level)
        if rollup is None or not rollup.is_sealed:
            return Decision(None, level)
        if rollup.holds is not None:
            break
        below = finer(level)
        if below is None:
            return Decision(LateOutcome.KEPT, level)
        level = below
    if not rollup.holds:
        return Decision(LateOutcome.REFUSED, level)
    coarser = LEVELS[LEVELS.index(level) + 1 :]
    incomplete_levels = (
        each for each in coarser if each not in found or found[each].holds is False
    )
    return Decision(LateOutcome.COUNTED, level, tuple(incomplete_levels))


class LatePartials:
    """Reads the rollups of partials, and seals those that decide on them."""

    def __init__(self, rollups: Collection) -> None:
        self._rollups = rollups

    async def of(
        self, partials: Sequence[Pending], finest: Mapping[int, Level]
    ) -> dict[int, Decision]:
        """Return the decision on each partial, by `id`, given the finest level that remains.

        Raises UndecidedError if another server stored a rollup at the same moment.
        """
        decisions = await self._decisions(partials, finest)
        undecided = [each for each in partials if decisions[id(each)].outcome is None]
        while undecided:
            before = {id(each): decisions[id(each)].level for each in undecided}
            await seal(self._rollups, {_rollup(each, before[id(each)]) for each in undecided})
            decisions |= await self._decisions(undecided, finest)
            undecided = [each for each in undecided if decisions[id(each)].outcome is None]
            if any(decisions[id(each)].level == before[id(each)] for each in undecided):
                raise UndecidedError("a rollup is being computed for a range that was removed")
        return decisions

    async def _decisions(
        self, partials: Sequence[Pending], finest: Mapping[int, Level]
    ) -> dict[int, Decision]:
        found = await self._check_rollups(partials)
        return {id(each): decide(finest[id(each)], found[id(each)]) for each in partials}

    async def _check_rollups(
        self, partials: Sequence[Pending]
    ) -> dict[int, dict[Level, RollupCheck]]:
        """Return the checks of the stored rollups, by `id` of the partial and by level."""
        of_bucket: dict[str, tuple[Level, list[Pending]]] = {}
        for each in partials:
            for level in LEVELS:
                of_bucket.setdefault(_rollup(each, level).name, (level, []))[1].append(each)
        result: dict[int, dict[Level, RollupCheck]] = {id(each): {} for each in partials}
        names = sorted(of_bucket)
        for at in range(0, len(names), MAX_ROLLUPS):
            condition = {"_id": {"$in": names[at : at + MAX_ROLLUPS]}}
            fields = {"summary": 1, "too_large": 1, "sealed": 1}
            async with aclosing(in_batches(self._rollups, condition, fields)) as batches:
                async for batch in batches:
                    for document in batch:
                        level, some = of_bucket[document["_id"]]
                        size = len(document.get("summary", b""))
                        for name, one in (await aside(size, _check_rollup, document, some)).items():
                            result[name][level] = one
        return result


def _rollup(partial: Pending, level: Level) -> RollupKey:
    return RollupKey(partial.facility, level, level.start(partial.start_ms))


def _check_rollup(document: Document, partials: Sequence[Pending]) -> dict[int, RollupCheck]:
    """Return the check of one stored rollup for each partial, by `id`."""
    is_sealed = "sealed" in document
    rollup = read_rollup(document)
    if rollup is None:
        return {id(each): RollupCheck(is_sealed, None) for each in partials}
    counted = {
        each.summary.sensor: dict(sources_of(each.summary).sources) for each in rollup.sensors
    }
    return {
        id(each): RollupCheck(
            is_sealed,
            all(
                _holds(counted, summary)
                for summary in CompactedReading.FromString(each.document["partial"]).sensors
            ),
        )
        for each in partials
    }


def _holds(counted: Mapping[str, Mapping[str, Sequence[Interval]]], summary: SensorSummary) -> bool:
    """Whether a rollup, given by sensor and `src`, holds each reading of a summary."""
    sources = sources_of(summary).sources
    if sum(count_seqs(some) for _, some in sources) != summary.count:
        return False
    of_sensor = counted.get(summary.sensor, {})
    for src, some in sources:
        before = of_sensor.get(src, ())
        if list(IntervalSet([*before, *some])) != list(IntervalSet(before)):
            return False
    return True
