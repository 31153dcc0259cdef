"""The operator's Prometheus metrics."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_PREFIX = "sensorpipe_operator"


class OperatorMetrics:
    """Counts reconciliations, failures, writes and changes that no watch event reported.

    Durations are in seconds of `clock`, which must be monotonic.
    """

    def __init__(
        self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.reconciles = Counter(
            f"{_PREFIX}_reconciles", "Reconciliations by result.", ["result"], registry=registry
        )
        self.errors = Counter(
            f"{_PREFIX}_errors",
            "Failed reconciliations by the reason of the failure.",
            ["reason"],
            registry=registry,
        )
        self.seconds = Histogram(
            f"{_PREFIX}_reconcile_seconds",
            "Seconds that one reconciliation of a Sensor took.",
            registry=registry,
        )
        self.writes = Counter(
            f"{_PREFIX}_writes",
            "Objects and statuses written to the API server, by kind.",
            ["kind"],
            registry=registry,
        )
        self.missed = Counter(
            f"{_PREFIX}_missed",
            "Changes found by resync that no watch event reported.",
            registry=registry,
        )
        self.cluster_key_looks = Counter(
            f"{_PREFIX}_cluster_key_looks",
            "Looks at the keys of the cluster's tokens, by result (unchanged, written, foreign, "
            "failed).",
            ["result"],
            registry=registry,
        )
        self._registry = registry
        self._clock = clock
        self._resynced_at = clock()
        self.add_gauge(
            "list_age_seconds",
            "Seconds since the last complete list of all objects, or since the start.",
            lambda: clock() - self._resynced_at,
        )

    def reconciled(self, seconds: float, *, done: bool) -> None:
        """Count one reconciliation that took so many seconds; it is retried unless `done`."""
        self.reconciles.labels("done" if done else "again").inc()
        self.seconds.observe(seconds)

    def resynced(self, changed: int) -> None:
        """Count a complete list of all objects that found `changed` Sensors to be out of date."""
        self._resynced_at = self._clock()
        self.missed.inc(changed)

    def add_gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge whose value is computed at each scrape; `text` is its HELP text."""
        Gauge(f"{_PREFIX}_{name}", text, registry=self._registry).set_function(value)
