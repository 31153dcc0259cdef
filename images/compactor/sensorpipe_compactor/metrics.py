"""The compactor's metrics for Prometheus, read at each scrape."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sensorpipe_compactor.broker_drops import BrokerDrops
from sensorpipe_compactor.compactor import Compactor

_PREFIX = "sensorpipe_compactor"


class CompactorMetrics(Collector):
    """The compactor's totals as Prometheus metrics, read at each scrape, off the hot path."""

    def __init__(self, compactor: Compactor, dropped: BrokerDrops) -> None:
        self._compactor = compactor
        self._dropped = dropped

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        for name, text, count in self._counters():
            yield CounterMetricFamily(f"{_PREFIX}_{name}", text, count)
        for name, text, value in self._gauges():
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", text, value)
        dead = CounterMetricFamily(
            f"{_PREFIX}_dead_letters", "Messages that are not valid readings", labels=["reason"]
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
            (
                "itemized",
                "Readings made durable one by one, as they may be in another partial as well",
                compactor.itemized,
            ),
            ("duplicates", "Readings dropped as durable or held already", windows.duplicates),
            (
                "reused",
                "Readings dropped whose publisher counts from 1 again under its old src",
                windows.reused.total,
            ),
            ("late", "Readings of windows that were closed before", windows.late),
            ("partials", "Partials made durable", compactor.partials),
            (
                "early_flushes",
                "Early flushes because the broker's in-flight window was nearly full",
                compactor.early_flushes,
            ),
            ("kafka_retries", "Attempts at Kafka that failed", compactor.journal.retries),
            ("mqtt_connections", "MQTT connections made", compactor.subscriber.connections),
            ("sessions_lost", "Sessions that the broker has forgotten", compactor.sessions_lost),
            ("forgotten", "Identities given up for memory", windows.sources.forgotten),
        ]

    def _gauges(self) -> list[tuple[str, str, int]]:
        compactor = self._compactor
        return [
            (
                "held",
                "Messages in flight to us, unacknowledged",
                compactor.subscriber.inbox.unacknowledged,
            ),
            (
                "dead_letters_waiting",
                "Dead letters that cannot be written yet; nothing behind them is acknowledged",
                compactor.dead_letters_waiting,
            ),
            ("held_ahead", "Readings held as ahead of our clock", len(compactor.windows.ahead)),
            (
                "clock_behind_seconds",
                "Seconds by which our clock is behind most sources, while readings wait for it",
                compactor.clock_behind_s or 0,
            ),
            ("budget", "Messages the broker lets be in flight", compactor.in_flight_limit.messages),
            ("streams", "Publishers' runs remembered", len(compactor.windows.sources)),
            ("connected", "Whether MQTT is connected", int(compactor.subscriber.ready)),
            ("kafka_connected", "Whether Kafka is connected", int(compactor.journal.connected)),
        ]
