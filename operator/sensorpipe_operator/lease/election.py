"""Decides which of several operators acts, by what a Lease says: pure.

The algorithm and its times are those of client-go's leader election, which
kube-controller-manager uses (k8s.io/client-go/tools/leaderelection). It compares no clocks of
different machines: a Lease counts as expired once an operator has seen it unchanged for its
duration by its own monotonic clock. So clocks may differ as they like; only one that runs 1.5 times
as fast as another (`LEASE_SECONDS / RENEW_DEADLINE_SECONDS`) could let two act. A write that the
API server received in time, and performs after the Lease has passed to another, is not prevented.
Unlike in client-go a Lease that is absent is not taken at once: somebody may have deleted it while
its holder acts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

LEASE_SECONDS: Final = 15
"""Seconds without a renewal after which another operator may take the Lease."""
RENEW_DEADLINE_SECONDS: Final = 10.0
"""Seconds after its last renewal, from when that was sent, at which the holder stops acting."""
RETRY_SECONDS: Final = 2.0
"""Seconds between two attempts to take or renew the Lease."""
RELEASED_SECONDS: Final = 1
"""Duration of a Lease that nobody holds; it must be positive."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a Lease says about its holder; times are text, and never compared with a clock."""

    holder: str
    """Identity of the operator that holds it; empty if none does."""
    seconds: int
    """How long it is valid without a renewal, in seconds."""
    acquired: str
    renewed: str
    transitions: int
    """How often its holder has changed."""


_ABSENT: Final = Claim("unknown", LEASE_SECONDS, "", "", -1)
"""What is assumed where there is no Lease: that it was deleted, and its holder acts still."""


class Election:
    """What one operator knows of the Lease, and whether it may act.

    `clock` is monotonic, in seconds. `leads` may be asked from any thread.
    """

    def __init__(self, identity: str, clock: Callable[[], float]) -> None:
        self.identity = identity
        self._clock = clock
        self._seen: Claim | None = None
        self._changed_at = 0.0
        """When the Lease was first seen as it is."""
        self._until: float | None = None
        """When this operator stops acting, unless it renews the Lease; None while it waits."""

    @property
    def leads(self) -> bool:
        """Whether this operator acts: it renewed the Lease in the last 10 s."""
        return self.seconds_left > 0

    @property
    def seconds_left(self) -> float:
        """Seconds for which this operator may act without another renewal; 0 while it waits."""
        until = self._until
        return 0.0 if until is None else max(0.0, until - self._clock())

    @property
    def holder(self) -> str:
        """Identity of the operator that was last seen to hold the Lease; empty if none was."""
        return self._seen.holder if self._seen is not None else ""

    def see(self, claim: Claim | None) -> None:
        """Note what was read; None if there is no Lease, which counts as one not renewed."""
        if claim is None:
            claim = self._seen or _ABSENT
        if claim != self._seen:
            self._seen, self._changed_at = claim, self._clock()
        if self.holder != self.identity:
            self._until = None

    def wanted(self, now: str) -> Claim | None:
        """Return what to write to take or renew the Lease; None while it is another's, or unseen.

        `now` is the time of day for people who read the Lease.
        """
        seen = self._seen
        if seen is None:
            return None
        if seen.holder == self.identity:
            return Claim(self.identity, LEASE_SECONDS, seen.acquired, now, seen.transitions)
        if seen.holder and self._clock() < self._changed_at + seen.seconds:
            return None
        return Claim(self.identity, LEASE_SECONDS, now, now, seen.transitions + 1)

    def written(self, claim: Claim, began: float) -> None:
        """Note that the API server accepted a claim that was sent at `began` by the clock."""
        self._seen, self._changed_at = claim, self._clock()
        self._until = began + RENEW_DEADLINE_SECONDS

    def release(self, now: str) -> Claim | None:
        """Stop acting; return what to write so that another may act at once, None if needless."""
        seen, self._until = self._seen, None
        if seen is None or seen.holder != self.identity:
            return None
        return Claim("", RELEASED_SECONDS, now, now, seen.transitions)
