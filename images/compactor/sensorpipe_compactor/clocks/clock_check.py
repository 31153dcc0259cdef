"""Whose clock is wrong where readings are ahead of ours: that of their source, or our own.

Each source shows by its newest reading how far its clock is from our monotonic clock, which
nobody steps. So once our wall clock is set back, all sources are seen to be ahead of it at once,
and once it is right again, none is.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from sensorpipe_schema.reading import MAX_AHEAD_MS

from sensorpipe_compactor.clocks.instant import Instant

_MAX_SOURCES: Final = 1_000
"""Sources remembered, those heard last."""

_NEWEST_MS: Final = 60_000
"""Milliseconds for which older readings do not change what the newest one of a source showed."""

_HEARD_MS: Final = 60_000
"""Milliseconds for which a source that is far behind our clock speaks against a verdict: it may
be one that sends what it has kept, and tells nothing yet."""

_KNOWN_MS: Final = 600_000
"""Milliseconds for which a source that agreed with our clock still vouches for it. One whose
readings fill up all that the broker may have in flight would keep the others from doing so."""

_NEAR_AHEAD_MS: Final = 30_000
_NEAR_BEHIND_MS: Final = 120_000
"""A source within these bounds agrees with our clock. The former is less than the contract's
minute, so that of sources that pass that minute together the first is not judged by the next."""

_LATE_MS: Final = 3_600_000
"""A source that is behind by no more than this may have readings that travel slowly."""

_ABSURD_MS: Final = 100 * 365 * 86_400_000
"""A source that is ahead by more has taken the wrong unit, and says nothing of our clock."""

_UNKNOWN_MS: Final = 90_000
"""Milliseconds after which sources that nobody confirms are taken to be wrong, for as long as
they are heard."""


class Wrong(Enum):
    """Whose clock is wrong."""

    OURS = "ours"
    THEIRS = "theirs"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class _Source:
    offset_ms: int
    """Its newest `ts` of late, less our monotonic time when it came."""
    newest_at_ms: int
    heard_at_ms: int


class ClockCheck:
    """Compares our wall clock with the sources'."""

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._agreed_ms: int | None = None
        self._unknown_since: int | None = None
        self._judged_at = 0
        self._heard_at_ms = 0

    @property
    def has_sources(self) -> bool:
        """Whether any reading came."""
        return bool(self._sources)

    def note(self, source: str, ts: int, now: Instant) -> None:
        """Note a reading as it comes; `source` is its `src`, or what else tells who sent it."""
        offset, steady = ts - now.steady_ms, now.steady_ms
        heard = self._sources.pop(source, None)
        if heard is None or offset >= heard.offset_ms or steady >= heard.newest_at_ms + _NEWEST_MS:
            heard = _Source(offset, steady, steady)
        heard.heard_at_ms = self._heard_at_ms = steady
        self._sources[source] = heard  # the last in order
        if len(self._sources) > _MAX_SOURCES:
            del self._sources[next(iter(self._sources))]
        if _is_near(ts - now.wall_ms) and not self._outvoted(now):
            self._agreed_ms = now.wall_ms - steady

    def agrees(self, now: Instant) -> bool:
        """Whether more sources agree with our clock, or are a little late, than are ahead of it."""
        leads = [lead for lead, _ in self._leads(now)]
        agreeing = sum(-_LATE_MS <= lead <= MAX_AHEAD_MS for lead in leads)
        return agreeing > sum(map(_is_ahead, leads))

    def lead_ms(self, now: Instant) -> int | None:
        """Return how far the foremost source is ahead of our clock; None if none is known."""
        leads = [lead for lead, _ in self._leads(now)]
        return max(leads, default=None)

    def behind_ms(self, now: Instant) -> int:
        """Return how far our clock is behind all sources that are ahead of it by too much."""
        leads = [lead for lead, _ in self._leads(now) if _is_ahead(lead)]
        return min(leads, default=0)

    def judge(self, now: Instant) -> Wrong:
        """Return whose clock is wrong, given that a reading is ahead of ours."""
        known = self._leads(now)
        if now.steady_ms - self._judged_at >= _KNOWN_MS:
            self._unknown_since = None
        self._judged_at = now.steady_ms
        if any(_is_near(lead) for lead, _ in known) and not self._outvoted(now):
            return self._known(Wrong.THEIRS)
        ahead = sum(_is_ahead(lead) for lead, _ in known)
        behind = any(lead <= MAX_AHEAD_MS and quiet < _HEARD_MS for lead, quiet in known)
        if self._was_set_back(now) or (ahead > 1 and not behind):
            return self._known(Wrong.OURS)
        if self._unknown_since is None:
            self._unknown_since = now.steady_ms
        if now.steady_ms - self._unknown_since < _UNKNOWN_MS:
            return Wrong.UNKNOWN
        return Wrong.THEIRS

    def _known(self, verdict: Wrong) -> Wrong:
        self._unknown_since = None
        return verdict

    def _was_set_back(self, now: Instant) -> bool:
        """Whether our wall clock has gone back since a source last agreed with it."""
        if self._agreed_ms is None:
            return False
        return now.wall_ms - now.steady_ms < self._agreed_ms - _NEAR_AHEAD_MS

    def _outvoted(self, now: Instant) -> bool:
        """Whether our clock was set back, and fewer sources agree with it than are ahead.

        Those few may only be late: what they send is as old as our clock is wrong.
        """
        if not self._was_set_back(now):
            return False
        leads = [lead for lead, _ in self._leads(now)]
        return sum(map(_is_near, leads)) < sum(map(_is_ahead, leads))

    def _leads(self, now: Instant) -> list[tuple[int, int]]:
        """Return of each source how far it is ahead of our clock, and for how long it is quiet.

        Sources count that were heard within 10 minutes of the last one: while readings are held
        and the broker has no more in flight, nobody is heard, and what is known stays so.
        """
        ours = now.wall_ms - now.steady_ms
        return [
            (source.offset_ms - ours, now.steady_ms - source.heard_at_ms)
            for source in self._sources.values()
            if self._heard_at_ms - source.heard_at_ms < _KNOWN_MS
        ]


def _is_ahead(lead_ms: int) -> bool:
    return MAX_AHEAD_MS < lead_ms < _ABSURD_MS


def _is_near(lead_ms: int) -> bool:
    return -_NEAR_BEHIND_MS <= lead_ms <= _NEAR_AHEAD_MS
