"""Metrics of consuming partials from Kafka and storing them."""

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
    "sensorpipe_server_dead_letters",
    "Kafka messages that could not be decoded or stored, by reason.",
    ["reason"],
)
WRITE_FAILURES: Final = Counter(
    "sensorpipe_server_write_failures",
    "Failed attempts to write a batch, or to load fences; each is repeated.",
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
    "Failed attempts to write dead letters to Kafka; each is repeated.",
)
CONSUMER_LAG: Final = Gauge(
    "sensorpipe_server_consumer_lag_records",
    "Records after the committed position, by partition: not read, stored or settled yet.",
    ["partition"],
)


def watch_kafka(assigned: Callable[[], bool]) -> None:
    """Export whether Kafka has assigned partitions, as of each scrape."""
    gauge = Gauge(
        "sensorpipe_server_kafka_assigned",
        "1 if Kafka has assigned partitions to this server, otherwise 0.",
    )
    gauge.set_function(assigned)
