"""What is known of a run at one moment: all that the views show, and nothing else."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from sensorpipe_cli.api import Latest, Totals

_RATE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Figures:
    """The latest answers of the server and the generators."""

    published: int = 0
    rate: float = 0.0
    """Readings published a second, over the last 10 s."""
    given_up: int = 0
    stored: int = 0
    """Of sources that are new since the start; `totals` has what was there before, too."""
    totals: Totals | None = None
    """None until the server was asked."""
    facilities: dict[str, Latest | None] = field(default_factory=dict)

    @property
    def windows(self) -> int:
        """How many windows the server holds."""
        return sum(latest.windows for latest in self.facilities.values() if latest)

    @property
    def missing(self) -> int:
        """How many published readings are not stored (yet)."""
        return max(0, self.published - self.stored)


@dataclass(frozen=True, slots=True)
class PartState:
    """One process, as shown."""

    name: str
    state: str
    address: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a view needs."""

    events: tuple[str, ...]
    """What happened so far, a line each."""
    phase: str
    elapsed: float
    """Seconds since everything was up; 0 before."""
    limit: float | None
    """The duration asked for."""
    parts: tuple[PartState, ...]
    links: tuple[tuple[str, str], ...]
    """(what, URL)"""
    figures: Figures


class Rate:
    """A counter's growth a second, over the last 10 s of observations."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def observe(self, now: float, count: int) -> float:
        """Take the count at `now` (monotonic seconds) and return the rate."""
        self._seen.append((now, count))
        while now - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        return max(0, count - before) / (now - since) if now > since else 0.0
