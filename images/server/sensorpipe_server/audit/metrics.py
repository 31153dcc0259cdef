"""The audit's findings as metrics."""

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sensorpipe_server.audit.audit import Findings


class AuditMetrics(Collector):
    """The audit's last findings, on the server that leads; a scrape reads no database."""

    def __init__(self, findings: Callable[[], Findings | None]) -> None:
        self._findings = findings

    def collect(self) -> Iterator[Metric]:
        """Yield the findings; nothing while another server leads."""
        found = self._findings()
        if found is None:
            return
        for name, text, value in (
            (
                "audit_timestamp_seconds",
                "Unix time in seconds at which the last round of the audit ended.",
                found.at,
            ),
            ("facilities", "Facilities that had a window within a day.", found.facilities),
            ("audited_facilities", "Facilities whose whole last day was scanned.", found.audited),
            ("lost_readings", "Readings missing from the windows of the last day.", found.lost),
            (
                "duplicate_readings",
                "Readings stored more than once in the windows of the last day.",
                found.duplicates,
            ),
            ("silent_facilities", "Facilities without a window for a minute.", found.silent),
        ):
            yield GaugeMetricFamily(f"sensorpipe_server_{name}", text, value)
        ages = GaugeMetricFamily(
            "sensorpipe_server_facility_silence_seconds",
            "Seconds since the start of the newest window, for the facilities silent longest.",
            labels=["facility"],
        )
        for facility, seconds in found.longest_silent.items():
            ages.add_metric([facility], seconds)
        yield ages
