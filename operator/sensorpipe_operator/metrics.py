"""The operator's metrics."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_PREFIX = "sensorpipe_operator"


class OperatorMetrics:
    """Reconciles, errors, writes, and what waits."""

    def __init__(
        self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.reconciles = Counter(
            f"{_PREFIX}_reconciles", "Sensors looked at.", ["result"], registry=registry
        )
        self.errors = Counter(
            f"{_PREFIX}_errors", "Attempts that failed.", ["reason"], registry=registry
        )
        self.seconds = Histogram(
            f"{_PREFIX}_reconcile_seconds", "Time for one Sensor.", registry=registry
        )
        self.writes = Counter(
            f"{_PREFIX}_writes", "Objects written, and statuses.", ["kind"], registry=registry
        )
        self.missed = Counter(
            f"{_PREFIX}_missed", "Changes found by listing, told by no watch.", registry=registry
        )
        self._registry = registry
        self._clock = clock
        self._listed_at = clock()
        self.watch(
            "list_age_seconds",
            "Since everything was last listed, or since the start.",
            lambda: clock() - self._listed_at,
        )

    def reconciled(self, seconds: float, *, done: bool) -> None:
        """Count one reconcile."""
        self.reconciles.labels("done" if done else "again").inc()
        self.seconds.observe(seconds)

    def listed(self, news: int) -> None:
        """Count a list of everything that was news of so many Sensors."""
        self._listed_at = self._clock()
        self.missed.inc(news)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge that is read whenever somebody asks."""
        Gauge(f"{_PREFIX}_{name}", text, registry=self._registry).set_function(value)
