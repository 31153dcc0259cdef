"""The compactor's metrics for Prometheus, read at each scrape."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sensorpipe_compactor.broker_drops import BrokerDrops
from sensorpipe_compactor.compactor import Compactor

_PREFIX: Final = "sensorpipe_compactor"

_COUNTERS: Final = {
    "received": "MQTT messages received, redelivered ones included",
    "acknowledged": "MQTT messages acknowledged, all of them durable",
    "readings": "Readings that are durable in Kafka",
    "itemized": "Readings in itemized partials: an earlier run may have written them, too",
    "duplicates": "Readings dropped because their seq came before",
    "reused": "Readings dropped because their publisher counts from 1 again under its old src",
    "late": "Readings that came after their window was closed",
    "partials": "Partials that are durable in Kafka",
    "early_flushes": "Early flushes because the broker's in-flight window was nearly full",
    "kafka_retries": "Failed attempts to use Kafka",
    "mqtt_connections": "MQTT connections made",
    "sessions_lost": "Sessions that the broker has lost",
    "forgotten": "Sources, and intervals of their seq, forgotten because there were too many",
}
"""Help texts of counters, by name without prefix."""

_GAUGES: Final = {
    "held": "MQTT messages that are not acknowledged yet",
    "dead_letters_waiting": "Dead letters that are not written yet; they hold up acknowledgements",
    "held_ahead": "Readings that wait because they are ahead of the compactor's clock",
    "clock_behind_seconds": "Seconds that the compactor's clock is behind most sources, or 0",
    "budget": "In-flight limit of the MQTT broker as learned, in messages",
    "streams": "Sources remembered",
    "source_bytes": "Bytes of memory that the remembered sources take, about",
    "source_bytes_limit": "Bytes of memory that they may take",
    "connected": "1 while connected to the MQTT broker, else 0",
    "kafka_connected": "1 while connected to Kafka, else 0",
}
"""Help texts of gauges, by name without prefix."""


_FEED_COUNTERS: Final = {
    "messages": "Messages of a Feed received, redelivered ones included",
    "readings": "Readings made of them, before repeats are dropped",
    "empty": "Messages of a Feed without any of the named values",
    "refused": "Messages of a Feed that became dead letters",
}
"""Help texts of counters of each Feed, by name without prefix."""


class CompactorMetrics(Collector):
    """The compactor's totals as Prometheus metrics, read at each scrape, off the hot path."""

    def __init__(self, compactor: Compactor, dropped: BrokerDrops) -> None:
        self._compactor = compactor
        self._dropped = dropped

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        for name, count in self._counters().items():
            yield CounterMetricFamily(f"{_PREFIX}_{name}", _COUNTERS[name], count)
        for name, value in self._gauges().items():
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", _GAUGES[name], value)
        dead = CounterMetricFamily(
            f"{_PREFIX}_dead_letters", "Dead letters that are durable in Kafka", labels=["reason"]
        )
        for reason, count in list(self._compactor.dead_letters.items()):
            dead.add_metric([reason], count)
        yield dead
        yield from self._feeds()
        if (messages := self._dropped.messages) is not None:
            text = "Messages that the broker has dropped since it started, by its own count"
            yield CounterMetricFamily(f"{_PREFIX}_broker_dropped", text, messages)

    def _feeds(self) -> Iterator[Metric]:
        """Yield what became of the messages of each Feed."""
        intake, watcher = self._compactor.windows.feeds, self._compactor.watcher
        if intake is None or watcher is None:
            return
        for name, text in _FEED_COUNTERS.items():
            metric = CounterMetricFamily(f"{_PREFIX}_feed_{name}", text, labels=["feed"])
            for feed, counts in list(intake.counts.items()):
                metric.add_metric([feed], getattr(counts, name))
            yield metric
        text = "Messages that no Feed takes: of one that is gone, whose subscription goes on"
        yield CounterMetricFamily(f"{_PREFIX}_feed_unclaimed", text, intake.unclaimed)
        text = "Feed files that are wrong; what was right of them before stays in use"
        yield GaugeMetricFamily(f"{_PREFIX}_feed_files_wrong", text, len(watcher.folder.problems))
        text = "Filters of Feeds that are subscribed"
        subscribed = self._compactor.subscriber.further_subscriptions
        yield GaugeMetricFamily(f"{_PREFIX}_feed_filters_subscribed", text, subscribed)
        text = "Filters of Feeds that the broker does not let us subscribe"
        refused = len(self._compactor.subscriber.refused_filters)
        yield GaugeMetricFamily(f"{_PREFIX}_feed_filters_refused", text, refused)

    def _counters(self) -> dict[str, int]:
        compactor = self._compactor
        inbox, windows = compactor.subscriber.inbox, compactor.windows
        return {
            "received": inbox.received,
            "acknowledged": inbox.acknowledged,
            "readings": compactor.readings,
            "itemized": compactor.itemized,
            "duplicates": windows.duplicates,
            "reused": windows.reused.total,
            "late": windows.late,
            "partials": compactor.partials,
            "early_flushes": compactor.early_flushes,
            "kafka_retries": compactor.journal.retries,
            "mqtt_connections": compactor.subscriber.connections,
            "sessions_lost": compactor.sessions_lost,
            "forgotten": windows.sources.forgotten,
        }

    def _gauges(self) -> dict[str, int]:
        compactor, sources = self._compactor, self._compactor.windows.sources
        return {
            "held": compactor.subscriber.inbox.unacknowledged,
            "dead_letters_waiting": compactor.dead_letters_waiting,
            "held_ahead": len(compactor.windows.ahead),
            "clock_behind_seconds": compactor.clock_behind_s or 0,
            "budget": compactor.in_flight_limit.messages,
            "streams": len(sources),
            "source_bytes": sources.bytes,
            "source_bytes_limit": sources.max_bytes,
            "connected": int(compactor.subscriber.ready),
            "kafka_connected": int(compactor.journal.connected),
        }
