"""What a store has to know of the past: what was computed without its partials, or removed."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Final

from sensorpipe_schema.compacted_reading_pb2 import CompactedReading, SensorSummary
from sensorpipe_schema.intervals import Interval, IntervalSet

from sensorpipe_server.storage.documents import Document
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.pace import aside
from sensorpipe_server.storage.pending import Pending, RefusedRecord
from sensorpipe_server.storage.queries import in_batches
from sensorpipe_server.storage.rollups.levels import LEVELS, read_rollup, rollup_id
from sensorpipe_server.storage.rollups.state import RollupState, Start
from sensorpipe_server.storage.summaries import held, sources_of

WINDOW_REMOVED: Final = "window_removed"
"""The reason of a dead letter whose range of time was removed for good."""


BUCKETS: Final = 100
"""Largest number of rollups that one query asks for."""


class Past:
    """Marks rollups to compute again, and refuses what comes too late for any."""

    def __init__(self, db: Database) -> None:
        self._state = RollupState(db)
        self._rollups = database.on_primary(database.rollups(db))
        self._announced_ms: int | None = None
        """As it was last seen: what is removed since then, `mark` finds out."""

    async def refuse(
        self, partials: Sequence[Pending]
    ) -> tuple[list[RefusedRecord], list[Pending]]:
        """Return the partials whose range was removed for good, and of these the redelivered ones.

        A partial was stored before where the rollups that are left hold each of its readings.
        Without `src` and `seq` that cannot be known: such a partial is refused.
        """
        if self._announced_ms is None:
            self._announced_ms = await self._state.announced()
        behind = [each for each in partials if each.start_ms < self._announced_ms]
        if not behind:
            return [], []
        closed = await self._state.closed(_starts(behind))
        detail = "windows of this time were removed; see SENSORPIPE_RETENTION"
        late = [each for each in behind if (each.facility, each.start_ms) in closed]
        counted = await self._counted(late)
        return (
            [
                RefusedRecord(each.record, WINDOW_REMOVED, detail)
                for each in late
                if id(each) not in counted
            ],
            [each for each in late if id(each) in counted],
        )

    async def _counted(self, partials: Sequence[Pending]) -> set[int]:
        """Return the `id` of each partial of which a rollup that is sealed holds all readings."""
        of_bucket: dict[str, list[Pending]] = {}
        for each in partials:
            for level in LEVELS:
                name = rollup_id(each.facility, level, level.start(each.start_ms))
                of_bucket.setdefault(name, []).append(each)
        counted: set[int] = set()
        names = sorted(of_bucket)
        for at in range(0, len(names), BUCKETS):
            condition = {"_id": {"$in": names[at : at + BUCKETS]}, "sealed": True}
            fields = {"summary": 1, "too_large": 1}
            async with aclosing(in_batches(self._rollups, condition, fields)) as batches:
                async for batch in batches:
                    for found in batch:
                        some = of_bucket[found["_id"]]
                        size = len(found.get("summary", b""))
                        counted |= await aside(size, _counted_in, found, some)
        return counted

    async def mark(self, partials: Sequence[Pending]) -> None:
        """Mark what was computed without these partials, which are durable."""
        self._announced_ms = None  # unknown where this fails
        self._announced_ms = await self._state.mark(_starts(partials))


def _counted_in(document: Document, partials: Sequence[Pending]) -> set[int]:
    """Return the `id` of each partial of which a stored rollup holds all readings."""
    rollup = read_rollup(document)
    if rollup is None:
        return set()
    counted = {each.summary.sensor: dict(sources_of(each.summary)[0]) for each in rollup.sensors}
    return {
        id(each)
        for each in partials
        if all(
            _holds(counted, summary)
            for summary in CompactedReading.FromString(each.document["partial"]).sensors
        )
    }


def _holds(counted: Mapping[str, Mapping[str, Sequence[Interval]]], summary: SensorSummary) -> bool:
    """Return whether each reading of a summary is in what was counted, by sensor and `src`."""
    sources, _ = sources_of(summary)
    if sum(held(some) for _, some in sources) != summary.count:
        return False
    of_sensor = counted.get(summary.sensor, {})
    for src, some in sources:
        before = of_sensor.get(src, ())
        if list(IntervalSet([*before, *some])) != list(IntervalSet(before)):
            return False
    return True


def _starts(partials: Iterable[Pending]) -> set[Start]:
    return {(each.facility, each.start_ms) for each in partials}
