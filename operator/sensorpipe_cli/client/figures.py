"""The state of a run: the numbers that its programs report, and what the views show."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from sensorpipe_cli.client.api import Latest, SetAside, Totals

_RATE_SECONDS: Final = 10.0
"""Period over which the rate is averaged."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The latest numbers from the server and the generators."""

    published: int = 0
    """Number of readings that the generators published."""
    rate: float = 0.0
    """Readings published per second over the last 10 s."""
    given_up: int = 0
    """Number of readings that the generators gave up."""
    stored: int = 0
    """Number of stored readings that this run's generators published."""
    others: int = 0
    """Number of stored readings that others published during this run; `totals` has all of them."""
    totals: Totals | None = None
    """Totals of everything stored; None until the server has answered once."""
    set_aside: SetAside = field(default_factory=SetAside)
    """Numbers of dead letters and fenced partials since the start of the run."""
    refused: dict[str, int] = field(default_factory=dict)
    """Number of messages that the compactor refused since its start, by reason."""
    facilities: dict[str, Latest | None] = field(default_factory=dict)
    """The newest window by facility; None if it is unknown."""

    @property
    def windows(self) -> int:
        """Number of stored windows."""
        return sum(latest.windows for latest in self.facilities.values() if latest)

    @property
    def missing(self) -> int:
        """Number of published readings that are not stored, or not yet."""
        return max(0, self.published - self.stored)

    @property
    def settled(self) -> bool:
        """Whether every published reading is stored and none is pending."""
        return not self.missing and not (self.totals and self.totals.pending)


@dataclass(frozen=True, slots=True)
class PartState:
    """The state of one process."""

    name: str
    state: str
    """What the process does: `starting`, `ready` and so on."""
    address: str
    """Where the process can be reached."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the views show."""

    events: tuple[str, ...]
    """Events so far, one line each."""
    phase: str
    """What the run does now."""
    elapsed: float
    """Seconds since every process was ready; 0 before that."""
    limit: float | None
    """Duration of the run in seconds; None if it has no limit."""
    parts: tuple[PartState, ...]
    """All processes, in the order of starting."""
    links: tuple[tuple[str, str], ...]
    """Links to show, each with its label and its URL or command."""
    figures: Figures


class Rate:
    """The growth of a counter per second, over the last 10 s of observations."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def observe(self, now: float, count: int) -> float:
        """Record the count at `now` (monotonic seconds) and return the growth per second."""
        self._seen.append((now, count))
        while now - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        return max(0, count - before) / (now - since) if now > since else 0.0
