"""Periodic scans of the stored windows for lost readings, duplicates and silent facilities.

One server of a group scans for all, in a bounded share of its time: each round reads the last
minutes of each facility, and the last day of a few. `GET /api/integrity` is exact for all time;
the audit reports a fault early.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from itertools import chain
from typing import Final, NamedTuple

from pymongo.errors import PyMongoError
from sensorpipe_schema.compacted_reading_pb2 import Rollup, SensorSummary

from sensorpipe_server.audit.facility_history import HORIZON_MS, History, Key, Scan
from sensorpipe_server.storage.mongodb import database
from sensorpipe_server.storage.mongodb.database import Database
from sensorpipe_server.storage.queries import (
    WindowBatch,
    facility_names,
    folded_windows,
    newest_window,
)
from sensorpipe_server.storage.reads.facility_list import FacilityEntry, note, read_entries
from sensorpipe_server.storage.reads.ranges import Ranges
from sensorpipe_server.storage.reads.reading import Span
from sensorpipe_server.storage.rollups.levels import Level
from sensorpipe_server.storage.source_seqs import Settling
from sensorpipe_server.storage.summaries import sources_of

ROUND_SECONDS: Final = 60.0
"""Seconds from the start of a round to the start of the next one."""

SHARE_SECONDS: Final = 3.0
"""Largest number of seconds for each step of a round.

The steps: find facilities, scan their last minutes, list them, and scan their last day.
"""

SEARCH_SECONDS: Final = 1.0
"""Largest number of seconds for the search for sources in windows older than a day."""

DAY_MS: Final = 24 * 3_600_000
"""Milliseconds of event time that a full scan of a facility covers."""

REVIEW_SECONDS: Final = 6 * 3600.0
"""Seconds after which the day of a facility is scanned again."""

MAX_TOTAL_INTERVALS: Final = 100_000
"""Largest number of intervals of `seq` in memory (some 60 MB); a source without gaps has one.

Beyond it new facilities are not scanned.
"""

MAX_SILENT: Final = 100
"""Largest number of silent facilities that are named, those longest silent first."""

SILENT_SECONDS: Final = 60.0
"""Seconds without a new window after which a facility is silent; a window usually lasts 10 s."""

log = logging.getLogger(__name__)


class Findings(NamedTuple):
    """The result of a round."""

    at: float
    """Unix seconds at the end of the round."""
    facilities: int
    """Facilities that had a window within a day."""
    audited: int
    """Facilities whose last day was scanned, or as much of it as MAX_INTERVALS allows."""
    lost: int
    """Readings missing from the windows of the last day."""
    duplicates: int
    """Duplicates in the windows of the last day: each copy of a reading except the first."""
    silent: int
    """Silent facilities among `facilities`."""
    longest_silent: dict[str, float]
    """Seconds since the start of the newest window, of the facilities longest silent."""


class Audit:
    """Scans the stored windows while this server leads its group."""

    def __init__(
        self,
        db: Database,
        leads: Callable[[], bool],
        settling: Settling | None = None,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.findings: Findings | None = None
        """None while another server leads."""
        self._windows = database.windows(db)
        self._rollups = database.rollups(db)
        self._lists = database.facilities(db)
        self._ranges = Ranges(db)
        self._complete_entries: set[str] = set()
        self._leads = leads
        self._settling = settling or Settling()
        self._clock = clock
        self._timer = timer
        self._names: set[str] = set()
        self._discovered_up_to = ""
        self._histories: dict[str, History] = {}
        self._intervals = 0
        self._next_name = ""

    async def run(self) -> None:
        """Scan until cancelled."""
        while True:
            began = self._timer()
            try:
                await self.round()
            except PyMongoError as error:
                log.warning("audit is waiting for MongoDB", extra={"error": str(error)[:500]})
            except Exception:  # a fault of the audit must not stop the server
                log.exception("audit failed; trying again")
            wait = began + ROUND_SECONDS - self._timer() if self._leads() else 0.0
            await asyncio.sleep(max(1.0, wait))

    async def round(self) -> None:
        """Run one round, if this server leads."""
        if not self._leads():
            self._histories.clear()
            self._names.clear()
            self._complete_entries.clear()
            self.findings = None
            return
        await self._discover()
        for name, history in self._histories.items():
            if history.newest_ms < self._clock() * 1000 - DAY_MS:
                self._histories[name] = History(history.newest_ms)  # without a window for a day
        self._intervals = sum(history.intervals for history in self._histories.values())
        await self._scan_recent()
        await self._list()
        await self._scan_days()
        self.findings = self._summarize()

    async def _discover(self) -> None:
        """Find facilities that have windows, going on where the last round ended."""
        end = self._timer() + SHARE_SECONDS
        async with aclosing(facility_names(self._windows, self._discovered_up_to)) as names:
            async for name in names:
                self._names.add(name)
                if self._timer() > end:
                    self._discovered_up_to = name
                    return
        self._discovered_up_to = ""

    def _forget(self, name: str) -> None:
        """Forget a facility without windows; once it has some, it is found again."""
        self._names.discard(name)
        self._complete_entries.discard(name)
        self._histories.pop(name, None)

    async def _list(self) -> None:
        """Complete the list of facilities, for as many as time allows.

        The server that stores windows maintains the list; but the list may have been
        dropped, or the server killed before it wrote it.
        """
        end = self._timer() + SHARE_SECONDS
        entries = {each.name: each for each in await read_entries(self._lists, with_sensors=False)}
        for name in sorted(self._names):
            entry, history = entries.get(name, FacilityEntry(name)), self._histories.get(name)
            newest = history.newest_ms if history is not None else 0
            if name in self._complete_entries and entry.is_whole and newest <= (entry.last_ms or 0):
                continue
            if self._timer() > end:
                return
            await note(self._windows, self._rollups, self._lists, name)
            self._complete_entries.add(name)

    async def _scan_recent(self) -> None:
        """Scan the last minutes of facilities, going on where the last round ended."""
        end = self._timer() + SHARE_SECONDS
        names = sorted(self._names, key=lambda name: (name < self._next_name, name))
        for name in names:
            if self._timer() > end:
                self._next_name = name
                return
            if name in self._histories or self._intervals < MAX_TOTAL_INTERVALS:
                with self._scanning(name):
                    await self._scan(name)

    async def _scan(self, name: str) -> None:
        history = self._histories.get(name) or await self._begin(name)
        if history is not None:
            scan = Scan(history.newest_ms, self._settling, self._clock())
            await self._read(scan, name, history.boundary_ms)
            if not scan.is_continuous:
                self._forget(name)  # the database was dropped or restored: start over
                return
            history.add(scan)
            history.scanned_at = self._clock()

    async def _begin(self, name: str) -> History | None:
        """Return the history of a new facility; None if it has no window."""
        newest = await newest_window(self._windows, name)
        if newest is None:
            self._forget(name)
            return None
        return self._histories.setdefault(name, History(newest.start_ms))

    async def _scan_days(self) -> None:
        """Scan the last day of facilities, those that need it most first."""
        end, now = self._timer() + SHARE_SECONDS, self._clock()
        since = int(now * 1000) - DAY_MS
        due = sorted(
            (not history.needs_full_scan, history.fully_scanned_at, name)
            for name, history in self._histories.items()
            if history.newest_ms >= since
            if history.needs_full_scan or now - history.fully_scanned_at > REVIEW_SECONDS
        )
        for _, _, name in due:
            if self._timer() > end:
                return
            history = self._histories[name]
            if history.fully_scanned_at or self._intervals < MAX_TOTAL_INTERVALS:
                scan = Scan(history.newest_ms, self._settling, now)
                with self._scanning(name):
                    await self._read(scan, name, since, limited=True)
                    history.replace(scan, await self._began_before(name, scan, end))

    async def _began_before(self, name: str, scan: Scan, end: float) -> frozenset[Key]:
        """Return the sources that have, or may have, windows older than those of the scan.

        The search ends at `end`, in seconds of the timer.
        """
        without_first = scan.without_first()
        if not without_first:
            return frozenset()
        # a source with readings at the beginning of the day usually began before it
        edge = scan.oldest_ms + HORIZON_MS
        at_the_edge = {key for key in without_first if scan.began[key] < edge}
        end = min(end, self._timer() + SEARCH_SECONDS)

        def is_enough(missing: set[Key]) -> bool:
            return missing <= at_the_edge or self._timer() > end

        try:
            older = await self._ranges.read(
                [name], 0, scan.oldest_ms, lambda: _Older(set(without_first), is_enough)
            )
        except _EnoughError:
            return frozenset(without_first)
        if not older.has_read:
            return frozenset()
        return frozenset(set(without_first) - older.missing | at_the_edge)

    @contextmanager
    def _scanning(self, name: str) -> Iterator[None]:
        """Count the intervals in memory; log a fault of one facility so that the others go on."""
        known = self._histories.get(name)
        self._intervals -= known.intervals if known else 0
        try:
            yield
        except PyMongoError:
            raise
        except Exception:
            log.exception("audit failed for a facility", extra={"facility": name})
        finally:
            known = self._histories.get(name)
            self._intervals += known.intervals if known else 0

    async def _read(self, scan: Scan, name: str, since_ms: int, *, limited: bool = False) -> None:
        """Read windows, newest first, so that windows stored meanwhile leave no gap."""
        batches = folded_windows(self._windows, name, since_ms, newest_first=True)
        async with aclosing(batches):
            async for batch in batches:
                scan.add(batch.windows)
                if limited and scan.is_full:
                    return

    def _summarize(self) -> Findings:
        now = self._clock()
        since = int(now * 1000) - DAY_MS
        alive = {
            name: history for name, history in self._histories.items() if history.newest_ms >= since
        }
        # as of the facility's last scan, which need not be in this round
        ages = {
            name: history.scanned_at - history.newest_ms / 1000 for name, history in alive.items()
        }
        silent = sorted((age, name) for name, age in ages.items() if age > SILENT_SECONDS)
        return Findings(
            at=now,
            facilities=len(alive),
            audited=sum(history.fully_scanned_at > 0 for history in alive.values()),
            lost=sum(history.lost for history in alive.values()),
            duplicates=sum(history.duplicates for history in alive.values()),
            silent=len(silent),
            longest_silent={name: age for age, name in silent[-MAX_SILENT:]},
        )


class _EnoughError(Exception):
    """The search has read enough."""


class _Older:
    """Searches windows and rollups for sources; raises _EnoughError once it has read enough."""

    def __init__(self, missing: set[Key], is_enough: Callable[[set[Key]], bool]) -> None:
        self.missing = missing
        """Sources that are in no window read so far."""
        self.has_read = False
        """Whether any window was read."""
        self._is_enough = is_enough

    def take_rollup(self, _span: Span, _level: Level, rollup: Rollup, *, finest: bool) -> bool:  # noqa: ARG002
        """Search a rollup."""
        self._search(each.summary for each in rollup.sensors)
        return True

    def take_windows(self, batch: WindowBatch) -> None:
        """Search windows."""
        for window in batch.windows:
            self._search(chain.from_iterable(window.sensors.values()))

    def _search(self, summaries: Iterable[SensorSummary]) -> None:
        self.has_read = True
        for summary in summaries:
            self.missing -= {(summary.sensor, src) for src, _ in sources_of(summary).sources}
        if self._is_enough(self.missing):
            raise _EnoughError
