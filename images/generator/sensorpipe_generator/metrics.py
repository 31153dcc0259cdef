"""The generator's metrics, read from its totals whenever somebody asks for them."""

from collections.abc import Iterable
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sensorpipe_generator.publishing import Totals

_PREFIX = "sensorpipe_generator"


class Acknowledgements(Protocol):
    """What the MQTT link's publisher knows of the broker's answers."""

    @property
    def connected(self) -> bool:
        """Whether there is a broker to answer."""

    @property
    def acknowledged(self) -> int:
        """Readings that the broker took."""

    @property
    def refused(self) -> int:
        """Readings that it answered with an error."""

    @property
    def puback_seconds(self) -> float:
        """Seconds that the broker takes to acknowledge."""

    @property
    def unacknowledged(self) -> int:
        """Readings held until it does."""


class GeneratorMetrics(Collector):
    """Counts nothing itself, so the hot path has nothing to do for it."""

    def __init__(self, totals: Totals, link: Acknowledgements) -> None:
        self._totals = totals
        self._link = link

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics as they stand."""
        totals, link = self._totals, self._link
        counters = (
            ("published", "Readings handed to the MQTT link.", totals.published),
            ("acknowledged", "Readings that the broker acknowledged.", link.acknowledged),
            ("refused", "Readings that the broker answered with an error.", link.refused),
            ("late", "Readings published more than an interval late.", totals.late),
            ("given_up", "Readings never published, or left at the end.", totals.given_up),
        )
        for name, text, value in counters:
            yield CounterMetricFamily(f"{_PREFIX}_{name}", text, value)
        text = "Readings held until the broker acknowledges them."
        yield GaugeMetricFamily(f"{_PREFIX}_unacknowledged", text, link.unacknowledged)
        text = "Seconds from a reading to its PUBACK, of the last one timed or one that waits."
        yield GaugeMetricFamily(f"{_PREFIX}_puback_seconds", text, link.puback_seconds)
        text = "Whether MQTT is connected."
        yield GaugeMetricFamily(f"{_PREFIX}_connected", text, int(link.connected))
