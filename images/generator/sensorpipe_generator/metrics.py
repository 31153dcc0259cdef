"""The generator's Prometheus metrics, computed from its totals at each scrape."""

from collections.abc import Iterable
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sensorpipe_generator.publishing import Totals

_PREFIX = "sensorpipe_generator"


class Acknowledgements(Protocol):
    """The part of the MQTT publisher's state that the metrics show."""

    @property
    def connected(self) -> bool:
        """Whether the publisher is connected to the broker."""

    @property
    def acknowledged(self) -> int:
        """Number of readings acknowledged by the broker."""

    @property
    def refused(self) -> int:
        """Number of readings that the broker refused with an error code."""

    @property
    def puback_seconds(self) -> float:
        """Seconds from publishing a reading to its PUBACK."""

    @property
    def unacknowledged(self) -> int:
        """Number of readings not acknowledged yet."""


class GeneratorMetrics(Collector):
    """Reads counts that are kept anyway, so that publishing takes no extra time."""

    def __init__(self, totals: Totals, link: Acknowledgements) -> None:
        self._totals = totals
        self._link = link

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics with their current values."""
        totals, link = self._totals, self._link
        counters = (
            ("published", "Readings passed to the MQTT client.", totals.published),
            ("acknowledged", "Readings acknowledged by the broker.", link.acknowledged),
            ("refused", "Readings refused by the broker with an error code.", link.refused),
            ("late", "Readings published more than one interval after their time.", totals.late),
            (
                "given_up",
                "Readings not published in time, or not acknowledged at the end.",
                totals.given_up,
            ),
        )
        for name, text, value in counters:
            yield CounterMetricFamily(f"{_PREFIX}_{name}", text, value)
        text = "Readings not acknowledged by the broker yet."
        yield GaugeMetricFamily(f"{_PREFIX}_unacknowledged", text, link.unacknowledged)
        text = "Seconds from a reading to its PUBACK, or so far if it has none yet."
        yield GaugeMetricFamily(f"{_PREFIX}_puback_seconds", text, link.puback_seconds)
        text = "1 while connected to the MQTT broker, else 0."
        yield GaugeMetricFamily(f"{_PREFIX}_connected", text, int(link.connected))
