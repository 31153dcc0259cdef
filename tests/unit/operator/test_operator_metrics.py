"""The metrics that show whether the operator still learns of changes."""

from prometheus_client import CollectorRegistry
from sensorpipe_operator.metrics import OperatorMetrics


def test_a_resync_counts_missed_changes_and_resets_the_age_of_the_list():
    now = 100.0
    registry = CollectorRegistry()
    made = OperatorMetrics(registry, clock=lambda: now)
    now = 130.0
    age = "sensorpipe_operator_list_age_seconds"
    assert registry.get_sample_value(age) == 30.0
    assert registry.get_sample_value("sensorpipe_operator_missed_total") == 0.0
    made.resynced(2)
    assert registry.get_sample_value(age) == 0.0
    assert registry.get_sample_value("sensorpipe_operator_missed_total") == 2.0
    made.resynced(0)
    assert registry.get_sample_value("sensorpipe_operator_missed_total") == 2.0
