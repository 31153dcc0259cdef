"""Metrics of what the server consumes and stores."""

from collections.abc import Callable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_partials = Counter(
    "sensorpipe_server_partials",
    "Partials by outcome: inserted, redelivered or fenced.",
    ["outcome"],
)
INSERTED: Final = _partials.labels("inserted")
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
    "Kafka records in one batch.",
    buckets=(1, 3, 10, 30, 100, 300, 1000, 2000),
)
BATCH_SECONDS: Final = Histogram(
    "sensorpipe_server_batch_seconds",
    "Seconds from the first attempt to store a batch until it is stored.",
)
WINDOW_LAG: Final = Histogram(
    "sensorpipe_server_window_lag_seconds",
    "Seconds from the end of a window until it is stored; once for each end and batch.",
    buckets=(0.5, 1, 2, 2.5, 3, 4, 5, 7.5, 10, 30, 60, 300, 3600),
)
LETTER_FAILURES: Final = Counter(
    "sensorpipe_server_dead_letter_failures",
    "Attempts to write dead letters that failed and were repeated.",
)
CONSUMER_LAG: Final = Gauge(
    "sensorpipe_server_consumer_lag_records",
    "Records after the committed position, by partition: not read, stored or settled yet.",
    ["partition"],
)


def watch_kafka(assigned: Callable[[], bool]) -> None:
    """Export whether Kafka has assigned partitions, as of each scrape."""
    gauge = Gauge("sensorpipe_server_kafka_assigned", "Whether Kafka has assigned partitions.")
    gauge.set_function(assigned)
