"""What the server counts and measures, for Prometheus."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

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
