"""A look at what is stored, again and again: lost, doubled, and facilities that fell silent.

One server of a group does it for all, and gives it a small share of its time at most: each
round reads each facility's windows of the last minutes, and a few facilities' windows of the
last day. `GET /api/integrity` is exact about all time; this says soon that something is wrong.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Final, NamedTuple

import pymongo
from pymongo.errors import PyMongoError

from sensorpipe_server import database
from sensorpipe_server.api.facilities import sensors_by_facility
from sensorpipe_server.api.reads import fields_of, in_batches
from sensorpipe_server.database import READ_SECONDS, Database
from sensorpipe_server.documents import id_range
from sensorpipe_server.trail import Look, Trail, start_of

ROUND_SECONDS: Final = 60.0
SHARE_SECONDS: Final = 3.0
"""Of a round for the last minutes' windows, and as much for the last day's."""

DAY_MS: Final = 24 * 3_600_000
REVIEW_SECONDS: Final = 6 * 3600.0
"""After which a facility's day is read again."""

MAX_REMEMBERED: Final = 100_000
"""Intervals, of which each source has one as a rule (some 60 MB); beyond it facilities not known
yet are not looked at, nor the day of those that have just become known."""

MAX_SILENT: Final = 100
"""Facilities named, those longest silent first."""

SILENT_SECONDS: Final = 60.0
"""Without a new window, of which each lasts 10 s as a rule."""

log = logging.getLogger(__name__)


class Findings(NamedTuple):
    """What is known after a round."""

    at: float
    facilities: int
    """That had a window within a day."""
    audited: int
    """Of which the whole day was read, or as much of it as there is room for."""
    lost: int
    duplicates: int
    silent: int
    """Of the facilities that had a window within a day."""
    longest_silent: dict[str, float]
    """Seconds since the start of the newest window of the first among them."""


class Audit:
    """Keeps looking while it is this server's turn to."""

    def __init__(
        self,
        db: Database,
        leads: Callable[[], bool],
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.findings: Findings | None = None
        """None while another server looks."""
        self._windows = database.windows(db)
        self._facilities = database.facilities(db)
        self._leads = leads
        self._clock = clock
        self._timer = timer
        self._trails: dict[str, Trail] = {}
        self._remembered = 0
        self._next = ""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            began = self._timer()
            try:
                await self.round()
            except PyMongoError as error:
                log.warning("the audit must wait for MongoDB", extra={"error": str(error)[:500]})
            except Exception:  # what only watches must stop nothing else
                log.exception("the audit failed; it is tried again")
            wait = began + ROUND_SECONDS - self._timer() if self._leads() else 0.0
            await asyncio.sleep(max(1.0, wait))

    async def round(self) -> None:
        """Look once, if it is this server's turn."""
        if not self._leads():
            self._trails.clear()
            self.findings = None
            return
        sensors = await sensors_by_facility(self._facilities)
        for gone in self._trails.keys() - sensors.keys():
            del self._trails[gone]
        for name, trail in self._trails.items():
            if trail.newest_ms < self._clock() * 1000 - DAY_MS:
                self._trails[name] = Trail(trail.newest_ms)  # its day is over
        self._remembered = sum(trail.pieces for trail in self._trails.values())
        await self._look(sensors)
        await self._review(sensors)
        self.findings = self._found()

    async def _look(self, sensors: dict[str, list[str]]) -> None:
        """Read the last minutes of as many facilities as there is time for, in turn."""
        end = self._timer() + SHARE_SECONDS
        names = sorted(sensors, key=lambda name: (name < self._next, name))
        for name in names:
            if self._timer() > end:
                self._next = name
                return
            if name in self._trails or self._remembered < MAX_REMEMBERED:
                with self._looking_at(name):
                    await self._look_at(name, sensors[name])

    async def _look_at(self, name: str, sensors: list[str]) -> None:
        trail = self._trails.get(name) or await self._begin(name)
        if trail is not None:
            look = Look(trail.newest_ms)
            await self._read(look, name, sensors, trail.boundary_ms)
            trail.take(look)
            trail.looked_at = self._clock()

    async def _begin(self, name: str) -> Trail | None:
        """Return the trail of a facility that is new here; None if it has no window."""
        with pymongo.timeout(READ_SECONDS):
            newest = await self._windows.find_one(
                {"_id": id_range(name)}, {"_id": 1}, sort=[("_id", -1)]
            )
        if newest is None:
            return None
        return self._trails.setdefault(name, Trail(start_of(newest)))

    async def _review(self, sensors: dict[str, list[str]]) -> None:
        """Read the last day of those most in need of it."""
        end, now = self._timer() + SHARE_SECONDS, self._clock()
        since = int(now * 1000) - DAY_MS
        due = sorted(
            (not trail.suspicious, trail.looked_at_all, name)
            for name, trail in self._trails.items()
            if trail.newest_ms >= since
            if trail.suspicious or now - trail.looked_at_all > REVIEW_SECONDS
        )
        for _, _, name in due:
            if self._timer() > end:
                return
            trail = self._trails[name]
            if trail.looked_at_all or self._remembered < MAX_REMEMBERED:
                look = Look(trail.newest_ms)
                with self._looking_at(name):
                    await self._read(look, name, sensors[name], since, limited=True)
                    trail.take_all(look, now)

    @contextmanager
    def _looking_at(self, name: str) -> Iterator[None]:
        """Keep count; let what is wrong with one facility's windows not hold up the others."""
        known = self._trails.get(name)
        self._remembered -= known.pieces if known else 0
        try:
            yield
        except PyMongoError:
            raise
        except Exception:
            log.exception("the audit failed for a facility", extra={"facility": name})
        finally:
            known = self._trails.get(name)
            self._remembered += known.pieces if known else 0

    async def _read(
        self, look: Look, name: str, sensors: list[str], since_ms: int, *, limited: bool = False
    ) -> None:
        """Read windows, the newest first, so that what comes meanwhile leaves no gap."""
        wanted = fields_of(sensors, "sources")
        condition = {"_id": id_range(name, since_ms)}
        batches = in_batches(self._windows, condition, wanted, newest_first=True)
        async with aclosing(batches):
            async for batch in batches:
                look.add(batch)
                if limited and look.is_full:
                    return

    def _found(self) -> Findings:
        now = self._clock()
        since = int(now * 1000) - DAY_MS
        alive = {name: trail for name, trail in self._trails.items() if trail.newest_ms >= since}
        # as it was when it was looked at, which need not be in this round
        ages = {name: trail.looked_at - trail.newest_ms / 1000 for name, trail in alive.items()}
        silent = sorted((age, name) for name, age in ages.items() if age > SILENT_SECONDS)
        return Findings(
            at=now,
            facilities=len(alive),
            audited=sum(trail.looked_at_all > 0 for trail in alive.values()),
            lost=sum(trail.lost for trail in alive.values()),
            duplicates=sum(trail.duplicates for trail in alive.values()),
            silent=len(silent),
            longest_silent={name: age for age, name in silent[-MAX_SILENT:]},
        )
