"""The compactor's counters for Prometheus, read when they are asked for."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sensorpipe_compactor.compactor import Compactor
from sensorpipe_compactor.dropped import Dropped

_PREFIX = "sensorpipe_compactor"


class CompactorMetrics(Collector):
    """Costs the hot path nothing: the numbers are kept anyway."""

    def __init__(self, compactor: Compactor, dropped: Dropped) -> None:
        self._compactor = compactor
        self._dropped = dropped

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        for name, text, count in self._counters():
            yield CounterMetricFamily(f"{_PREFIX}_{name}", text, count)
        for name, text, value in self._gauges():
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", text, value)
        dead = CounterMetricFamily(
            f"{_PREFIX}_dead_letters", "Messages that are no readings", labels=["reason"]
        )
        for reason, count in list(self._compactor.dead_letters.items()):
            dead.add_metric([reason], count)
        yield dead
        if (messages := self._dropped.messages) is not None:
            text = "Messages that the broker has dropped since it started, by its own count"
            yield CounterMetricFamily(f"{_PREFIX}_broker_dropped", text, messages)

    def _counters(self) -> list[tuple[str, str, int]]:
        compactor = self._compactor
        inbox, windows = compactor.subscriber.inbox, compactor.windows
        return [
            ("received", "Messages received, repeats included", inbox.received),
            ("acknowledged", "Messages acknowledged, being durable", inbox.acknowledged),
            ("readings", "Readings made durable", compactor.readings),
            ("duplicates", "Readings dropped as durable or held already", windows.duplicates),
            ("late", "Readings of windows that were closed before", windows.late),
            ("partials", "Partials made durable", compactor.partials),
            (
                "early_flushes",
                "Flushes before time, for the broker's sake",
                compactor.early_flushes,
            ),
            ("kafka_retries", "Attempts at Kafka that failed", compactor.journal.retries),
            ("mqtt_connections", "MQTT connections made", compactor.subscriber.connections),
            ("sessions_lost", "Sessions that the broker has forgotten", compactor.sessions_lost),
            ("forgotten", "Identities given up for memory", windows.streams.forgotten),
        ]

    def _gauges(self) -> list[tuple[str, str, int]]:
        compactor = self._compactor
        return [
            ("held", "Messages in flight to us, unacknowledged", compactor.subscriber.inbox.held),
            ("budget", "Messages the broker lets be in flight", compactor.budget.limit),
            ("streams", "Publishers' runs remembered", len(compactor.windows.streams)),
            ("connected", "Whether MQTT is connected", int(compactor.subscriber.ready)),
            ("kafka_connected", "Whether Kafka is connected", int(compactor.journal.connected)),
        ]
