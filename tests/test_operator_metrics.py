"""What the operator tells Prometheus of whether it still hears."""

from prometheus_client import CollectorRegistry
from sensorpipe_operator.metrics import OperatorMetrics


def test_a_list_is_news_and_makes_the_operator_young_again():
    now = 100.0
    registry = CollectorRegistry()
    made = OperatorMetrics(registry, clock=lambda: now)
    now = 130.0
    age = "sensorpipe_operator_list_age_seconds"
    assert registry.get_sample_value(age) == 30.0
    assert registry.get_sample_value("sensorpipe_operator_missed_total") == 0.0
    made.listed(2)
    assert registry.get_sample_value(age) == 0.0
    assert registry.get_sample_value("sensorpipe_operator_missed_total") == 2.0
    made.listed(0)
    assert registry.get_sample_value("sensorpipe_operator_missed_total") == 2.0
