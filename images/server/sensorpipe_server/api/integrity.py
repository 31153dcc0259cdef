"""`GET /api/integrity`: whether every reading was counted exactly once."""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from sensorpipe_schema.compacted_reading_pb2 import Rollup, SensorSummary
from sensorpipe_schema.reading import MAX_AGE_MS
from starlette.requests import Request
from starlette.responses import Response

from sensorpipe_server.api import operations
from sensorpipe_server.api.dead_letter_counts import DeadLetterCounts
from sensorpipe_server.api.http.answers import json, raw
from sensorpipe_server.api.openapi.answers import (
    Integrity,
    IntegrityTotals,
    SetAside,
    SourceIntegrity,
)
from sensorpipe_server.api.params import Params
from sensorpipe_server.storage.documents import END_OF_TIME_MS, date
from sensorpipe_server.storage.fold import Window
from sensorpipe_server.storage.logs import fenced_total
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.pace import aside
from sensorpipe_server.storage.queries import (
    WindowBatch,
    facility_names,
    has_others,
    report_unreadable,
)
from sensorpipe_server.storage.reads.facility_list import FacilityEntry, read_entries
from sensorpipe_server.storage.reads.ranges import Ranges
from sensorpipe_server.storage.reads.reading import Span
from sensorpipe_server.storage.rollups.levels import DAY, Level
from sensorpipe_server.storage.rollups.state import RollupState
from sensorpipe_server.storage.source_seqs import Settling, SourceSeqs
from sensorpipe_server.storage.summaries import (
    NOTHING,
    SparseCount,
    is_sketch_right,
    sources_of,
    sparse_counts,
)

SILENT_MS: Final = MAX_AGE_MS
"""Longest silence of a source, in milliseconds, before its first reading that is not removed.

Every level is kept for longer than that.
"""

_LINE_BYTES: Final = 150
"""Approximate size in bytes of a line of the answer."""


class IntegrityScan:
    """One scan of all windows of some facilities, started at `now`, in unix seconds.

    Readings that may have been stored since count as pending, so one scan is enough. `lengths` are
    the lengths of the facilities' windows, in milliseconds.
    """

    def __init__(self, settling: Settling, lengths: dict[str, int], now: float) -> None:
        self.sources: dict[tuple[str, str, str], SourceSeqs] = {}
        self.sparse: dict[tuple[str, str, str], SparseCount] = {}
        """Those whose gaps mean nothing."""
        self.unidentified = 0
        self.unreadable = 0
        """Number of documents, sketches and intervals that are left out, since they are wrong."""
        self._settling = settling
        self._lengths = lengths
        self._now = now

    def take_rollup(self, span: Span, level: Level, rollup: Rollup, *, finest: bool) -> bool:
        """Add a rollup if all its windows are settled.

        The `finest` one is added in any case: it settles when its youngest window does.
        """
        length_ms = max(level.length_ms, self._lengths.get(span.facility, 0))
        settles_at = self._now
        if not self._settling.are_settled(rollup.received_ms, length_ms, self._now):
            if not finest:
                return False
            received_at = date(rollup.received_ms)
            settles_at = self._settling.settles_at(received_at, length_ms, self._now)
        self.unreadable += rollup.unreadable
        for entry in rollup.sensors:
            self._add(span.facility, span.start_ms, [entry.summary], settles_at)
        return True

    def take_windows(self, batch: WindowBatch) -> None:
        """Add windows."""
        self.unreadable += batch.unreadable
        for window in batch.windows:
            self._add_window(window)

    def report(self, removed_ms: Mapping[str, int], set_aside: SetAside) -> Integrity:
        """Return the answer, whose lines are JSON already.

        `removed_ms` is, by facility, the moment in unix milliseconds before which all is removed.
        Earlier readings of a source that goes on after it are not lost.
        """
        lines: list[SourceIntegrity] = []
        totals = IntegrityTotals(
            count=0,
            lost=0,
            pending=0,
            duplicates=0,
            removed=0,
            unidentified=self.unidentified,
            sources=len(self.sources) + len(self.sparse),
            unreadable=self.unreadable,
        )
        for line in self._lines(removed_ms):
            totals.add(line)
            lines.append(raw(line))
        before = {name: date(each) for name, each in sorted(removed_ms.items())}
        return Integrity(lines, totals, before, set_aside)

    def _lines(self, removed_ms: Mapping[str, int]) -> Iterator[SourceIntegrity]:
        """Yield the lines of all sources; a name that stands for two of them has two."""
        for key in sorted(self.sources.keys() | self.sparse.keys()):
            seqs = self.sources.get(key)
            if seqs is not None:
                removed_before_ms = removed_ms.get(key[0], -SILENT_MS) + SILENT_MS
                yield _line(key, seqs, began_before=seqs.began_ms < removed_before_ms)
            if key in self.sparse:
                yield _sparse_line(key, self.sparse[key])

    def _add_window(self, window: Window) -> None:
        self.unreadable += window.unreadable
        key = window.key
        settles_at = self._settling.settles_at(window.received_at, key.length_ms, self._now)
        for summaries in window.sensors.values():
            for summary in summaries:
                self.unreadable += not is_sketch_right(summary)
            self._add(key.facility, key.start_ms, summaries, settles_at)

    def _add(
        self, facility: str, start_ms: int, summaries: Sequence[SensorSummary], settles_at: float
    ) -> None:
        """Add all summaries of one sensor in a window or rollup."""
        has_sparse = False
        for summary in summaries:
            found = sources_of(summary)
            has_sparse = has_sparse or found.has_sparse
            self.unreadable += found.wrong
            self.unidentified += summary.count
            for src, intervals in found.sources:
                key = (facility, summary.sensor, src)
                seqs = self.sources.get(key)
                if seqs is None:
                    seqs = self.sources[key] = SourceSeqs()
                seqs.began_ms = min(seqs.began_ms, start_ms)
                self.unidentified -= seqs.add(intervals, settles_at, self._now)
        if has_sparse:
            self._add_sparse((facility, summaries[0].sensor), summaries)

    def _add_sparse(self, sensor: tuple[str, str], summaries: Iterable[SensorSummary]) -> None:
        counts, wrong = sparse_counts(summaries)
        self.unreadable += wrong
        for src, each in counts.items():
            key = (*sensor, src)
            self.sparse[key] = self.sparse.get(key, NOTHING).plus(each)
            self.unidentified -= each.readings


def _line(key: tuple[str, str, str], seqs: SourceSeqs, *, began_before: bool) -> SourceIntegrity:
    """Return the line of a source whose first readings were removed if it `began_before`."""
    missing = seqs.missing(from_one=not began_before)
    return SourceIntegrity(
        *key,
        first=seqs.first,
        last=seqs.last,
        count=seqs.count,
        lost=missing.lost,
        pending=missing.pending,
        duplicates=seqs.duplicates,
        removed=seqs.first - 1 if began_before else 0,
    )


def _sparse_line(key: tuple[str, str, str], stored: SparseCount) -> SourceIntegrity:
    """Return the line of a source whose gaps mean nothing."""
    return SourceIntegrity(
        *key,
        first=None,
        last=None,
        count=stored.readings,
        lost=None,
        pending=0,
        duplicates=stored.duplicates,
        removed=0,
    )


class IntegrityReport:
    """Answers which readings of every source are stored, lost, pending or duplicate."""

    def __init__(
        self,
        db: Database,
        settling: Settling,
        set_aside: Callable[[], Awaitable[DeadLetterCounts]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._windows = database.windows(db)
        self._rollups = database.rollups(db)
        self._lists = database.facilities(db)
        self._logs = database.logs(db)
        self._ranges = Ranges(db)
        self._state = RollupState(db)
        self._settling = settling
        self._set_aside = set_aside
        self._clock = clock

    async def answer(self, request: Request) -> Response:
        """Answer a line for each facility, sensor and source, the totals, and what is set aside.

        What is set aside is counted over all facilities: an invalid message names none. So it is
        left out where not all are granted.
        """
        params = Params(request, operations.INTEGRITY)
        facility = params.facility()
        params.check()
        found = await self._facilities(facility)
        entries = [each for each in found if params.granted.has(each.name)]
        lengths = {each.name: each.length_ms for each in entries}
        scan = await self._ranges.read(
            list(lengths),
            0,
            END_OF_TIME_MS,
            lambda: IntegrityScan(self._settling, lengths, self._clock()),
        )
        # last, so that it includes what was removed meanwhile
        removed = await self._state.read_removed(lengths)
        removed_ms = {name: each[DAY.name] for name, each in removed.items() if DAY.name in each}
        dead = await self._set_aside() if params.granted.is_all else DeadLetterCounts()
        set_aside = SetAside(dead.dead_letters, dead.refused, await fenced_total(self._logs))
        lines = len(scan.sources) + len(scan.sparse)
        report = await aside(lines * _LINE_BYTES, scan.report, removed_ms, set_aside)
        if scan.unreadable:
            report_unreadable()
        return json(report)

    async def _facilities(self, name: str | None) -> Iterable[FacilityEntry]:
        """Return one facility, or all: those that have windows, and those that had some before."""
        found = await read_entries(self._lists, with_sensors=False, name=name)
        if name is not None:
            return found or [FacilityEntry(name)]
        entries = {each.name: each for each in found}
        for some in (self._windows, self._rollups):
            if await has_others(some, entries):
                async for found_name in facility_names(some):
                    entries.setdefault(found_name, FacilityEntry(found_name))
        return entries.values()
