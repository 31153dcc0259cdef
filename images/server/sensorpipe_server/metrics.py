"""What the server counts and measures, for Prometheus."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sensorpipe_server.audit import Findings

_partials = Counter("sensorpipe_server_partials", "Partials by what became of them.", ["outcome"])
INSERTED: Final = _partials.labels("inserted")
MERGED: Final = _partials.labels("merged")
REDELIVERED: Final = _partials.labels("redelivered")
FENCED: Final = _partials.labels("fenced")

DEAD: Final = Counter(
    "sensorpipe_server_dead_letters", "Messages that could not be decoded or stored.", ["reason"]
)
WRITE_FAILURES: Final = Counter(
    "sensorpipe_server_write_failures", "Attempts to write a batch that failed and were repeated."
)
BATCH_RECORDS: Final = Histogram(
    "sensorpipe_server_batch_records",
    "Kafka records of a batch.",
    buckets=(1, 3, 10, 30, 100, 300, 1000, 2000),
)
BATCH_SECONDS: Final = Histogram(
    "sensorpipe_server_batch_seconds", "From the first attempt to store a batch until it is stored."
)
WINDOW_LAG: Final = Histogram(
    "sensorpipe_server_window_lag_seconds",
    "From the end of a window until it is stored; once for each end and batch.",
    buckets=(0.5, 1, 2, 2.5, 3, 4, 5, 7.5, 10, 30, 60, 300, 3600),
)
CONSUMER_LAG: Final = Gauge(
    "sensorpipe_server_consumer_lag_records", "Records not read yet, by partition.", ["partition"]
)


class AuditMetrics(Collector):
    """What the audit found, on the one server that looks; whoever scrapes asks no database."""

    def __init__(self, findings: Callable[[], Findings | None]) -> None:
        self._findings = findings

    def collect(self) -> Iterator[Metric]:
        """Yield the findings, if there are any."""
        found = self._findings()
        if found is None:
            return
        for name, text, value in (
            ("audit_timestamp_seconds", "When the audit last looked.", found.at),
            ("facilities", "Facilities that had a window within a day.", found.facilities),
            ("audited_facilities", "Facilities whose whole day was looked at.", found.audited),
            ("lost_readings", "Readings missing from the last day's windows.", found.lost),
            ("duplicate_readings", "Readings twice in the last day's windows.", found.duplicates),
            ("silent_facilities", "Facilities without a window for a minute.", found.silent),
        ):
            yield GaugeMetricFamily(f"sensorpipe_server_{name}", text, value)
        ages = GaugeMetricFamily(
            "sensorpipe_server_facility_silence_seconds",
            "Since the start of the last window, of the facilities longest silent.",
            labels=["facility"],
        )
        for facility, seconds in found.longest_silent.items():
            ages.add_metric([facility], seconds)
        yield ages


def watch_kafka(assigned: Callable[[], bool]) -> None:
    """Tell whether Kafka has assigned partitions, asked whenever somebody scrapes."""
    gauge = Gauge("sensorpipe_server_kafka_assigned", "Whether Kafka has assigned partitions.")
    gauge.set_function(assigned)
