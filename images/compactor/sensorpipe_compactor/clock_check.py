"""Whose clock is wrong where readings are ahead of ours: that of their source, or our own.

Each source shows by its newest reading how far its clock is from our monotonic clock, which
nobody steps. So once our wall clock is set back, all sources are seen to be ahead of it at once,
and once it is right again, none is.

A single source proves nothing: its clock may be wrong, and what it sends may be exactly as late as
our clock is behind. So the majority decides, on the assumption that most sources have the right
time and send their readings as they take them.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

import msgspec
from sensorpipe_schema.reading import MAX_AHEAD_MS

_MAX_SOURCES: Final = 1_000
"""Largest number of sources remembered; the one that is silent for longest is forgotten."""

_NEWEST_MS: Final = 60_000
"""Milliseconds for which older readings do not change what the newest one of a source showed."""

_FIRST_MS: Final = 15_000
"""Milliseconds from the first reading that is ahead until its source is taken to be wrong. Sources
that agree may send what they have kept, as late as our clock is behind; or they agreed before this
machine stood still, and are to be heard again."""

_KNOWN_MS: Final = 600_000
"""Milliseconds for which a source counts, from its last reading to the last of all: one whose
unacknowledged readings use up the in-flight limit would silence the others."""

_REPLACED_MS: Final = 90_000
"""Milliseconds after its last reading from which on a source no longer counts if another one has
sent to its topic since: a publisher that is restarted again and again is not a majority."""

_NEAR_AHEAD_MS: Final = 30_000
_NEAR_BEHIND_MS: Final = 120_000
"""A source within these bounds agrees with our clock. The former is less than the contract's
minute, so that of sources that pass that minute together the first is not judged by the next."""

_LATE_MS: Final = 3_600_000
"""A source that is behind by no more than this may have readings that travel slowly."""

_ABSURD_MS: Final = 100 * 365 * 86_400_000
"""Milliseconds from which on a source that is ahead has the wrong unit: it does not count."""

_UNKNOWN_MS: Final = 90_000
"""Milliseconds after which the sources that are ahead are taken to be wrong, where no majority
has decided."""


class Instant(msgspec.Struct, frozen=True):
    """One point in time, in milliseconds on two clocks.

    Readings are compared with the wall clock, which can be stepped; how long something
    has waited is measured on the monotonic clock, which cannot.
    """

    wall_ms: int
    """Unix time."""
    steady_ms: int
    """Monotonic time, from an arbitrary beginning."""


class WrongClock(Enum):
    """Whose clock is wrong."""

    OURS = "ours"
    THEIRS = "theirs"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class _Source:
    offset_ms: int
    """Its newest `ts` of late, less our monotonic time when it came."""
    newest_at_ms: int
    """When that came, in ms of the monotonic clock."""
    last_at_ms: int
    """When its last reading came, on the same clock."""
    is_replaced: bool = False
    """Whether another source has sent to the topic of its last reading since that came."""


class _Votes(NamedTuple):
    """Numbers of sources, by how they compare with our clock."""

    near: int
    """Those that agree with it."""
    timely: int
    """These, and those that are behind by no more than slow readings are, or ahead by little."""
    ahead: int
    """Those whose readings are too far ahead to be taken."""


class ClockCheck:
    """Compares our wall clock with the sources'."""

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._of_topic: dict[str, str] = {}
        """By topic, the source of its last reading."""
        self._ahead_since_ms: int | None = None
        """When the first reading came that was ahead, of those not 10 minutes apart, on the
        monotonic clock."""
        self._ahead_at_ms = 0
        self._agreed_ms: int | None = None
        self._unknown_since: int | None = None
        self._judged_at = 0
        self._last_at_ms = 0

    def __len__(self) -> int:
        """Return the number of sources that are compared."""
        return len(self._sources)

    def note(self, source: str, topic: str, ts: int, now: Instant) -> None:
        """Note a reading as it comes; `source` is its `src`, or else stands for its facility."""
        self._note_topic(source, topic)
        offset, steady = ts - now.steady_ms, now.steady_ms
        entry = self._sources.pop(source, None)
        if entry is None:
            entry = _Source(offset, steady, steady)
        elif offset >= entry.offset_ms or steady >= entry.newest_at_ms + _NEWEST_MS:
            entry.offset_ms, entry.newest_at_ms = offset, steady
        entry.last_at_ms = self._last_at_ms = steady
        entry.is_replaced = False
        self._sources[source] = entry  # the last in order
        if ts - now.wall_ms > MAX_AHEAD_MS:
            self.note_ahead(now)
        if len(self._sources) > _MAX_SOURCES:
            del self._sources[next(iter(self._sources))]
        if _is_near(ts - now.wall_ms) and not self._outvoted(now):
            self._agreed_ms = now.wall_ms - steady

    def note_ahead(self, now: Instant) -> None:
        """Note that a reading came that is ahead of our clock, of whichever source."""
        if self._ahead_since_ms is None or now.steady_ms - self._ahead_at_ms >= _KNOWN_MS:
            self._ahead_since_ms = now.steady_ms
        self._ahead_at_ms = now.steady_ms

    def _note_topic(self, source: str, topic: str) -> None:
        before = self._sources.get(self._of_topic.pop(topic, source))
        if before is not None:
            before.is_replaced = True  # unless it is this one, or sends again
        self._of_topic[topic] = source
        if len(self._of_topic) > _MAX_SOURCES:
            del self._of_topic[next(iter(self._of_topic))]

    def agrees(self, now: Instant) -> bool:
        """Whether more sources agree with our clock, or are a little late, than are ahead of it."""
        votes = self._votes(now)
        return votes.timely > votes.ahead

    def lead_ms(self, now: Instant) -> int | None:
        """Return by how many ms the foremost source is ahead of our clock; None without any."""
        return max(self._leads(now), default=None)

    def behind_ms(self, now: Instant) -> int:
        """Return by how many ms our clock is behind all sources that are too far ahead of it."""
        return min(filter(_is_ahead, self._leads(now)), default=0)

    def judge(self, now: Instant) -> WrongClock:
        """Return whose clock is wrong, given that a reading is ahead of ours."""
        if now.steady_ms - self._judged_at >= _KNOWN_MS:
            self._unknown_since = None
        self._judged_at = now.steady_ms
        votes = self._votes(now)
        if votes.near > votes.ahead:
            if self._has_listened(now):
                return self._known(WrongClock.THEIRS)
        elif self._was_set_back(now) or votes.ahead > max(votes.timely, 1):
            return self._known(WrongClock.OURS)
        if self._unknown_since is None:
            self._unknown_since = now.steady_ms
        if now.steady_ms - self._unknown_since < _UNKNOWN_MS:
            return WrongClock.UNKNOWN
        return WrongClock.THEIRS

    def _has_listened(self, now: Instant) -> bool:
        since = self._ahead_since_ms
        return since is not None and now.steady_ms - since >= _FIRST_MS

    def _known(self, verdict: WrongClock) -> WrongClock:
        self._unknown_since = None
        return verdict

    def _was_set_back(self, now: Instant) -> bool:
        """Whether our wall clock has gone back since a source last agreed with it."""
        if self._agreed_ms is None:
            return False
        return now.wall_ms - now.steady_ms < self._agreed_ms - _NEAR_AHEAD_MS

    def _outvoted(self, now: Instant) -> bool:
        """Whether our clock was set back, and fewer sources agree with it than are ahead."""
        if not self._was_set_back(now):
            return False
        votes = self._votes(now)
        return votes.near < votes.ahead

    def _votes(self, now: Instant) -> _Votes:
        leads = self._leads(now)
        near, timely, ahead = (sum(map(of, leads)) for of in (_is_near, _is_timely, _is_ahead))
        return _Votes(near, timely, ahead)

    def _leads(self, now: Instant) -> list[int]:
        """Return of each source by how many ms it is ahead of our clock.

        Sources count whose last reading came within 10 minutes of the last of all, or within 90 s
        where another source has sent to their topic since: while readings wait and the in-flight
        limit is reached, none comes, and the votes stay as they are.
        """
        ours = now.wall_ms - now.steady_ms
        return [
            source.offset_ms - ours
            for source in self._sources.values()
            if self._last_at_ms - source.last_at_ms
            < (_REPLACED_MS if source.is_replaced else _KNOWN_MS)
        ]


def _is_ahead(lead_ms: int) -> bool:
    return MAX_AHEAD_MS < lead_ms < _ABSURD_MS


def _is_near(lead_ms: int) -> bool:
    return -_NEAR_BEHIND_MS <= lead_ms <= _NEAR_AHEAD_MS


def _is_timely(lead_ms: int) -> bool:
    return -_LATE_MS <= lead_ms <= MAX_AHEAD_MS
