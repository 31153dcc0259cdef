"""Where the API server serves what the operator lists, watches and writes."""

import pytest
from sensorpipe_operator.names import Kind


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (Kind.POD, "/api/v1/namespaces/plant/pods/boiler"),
        (Kind.CONFIG_MAP, "/api/v1/namespaces/plant/configmaps/boiler"),
        (Kind.DEPLOYMENT, "/apis/apps/v1/namespaces/plant/deployments/boiler"),
        (Kind.SENSOR, "/apis/sensorpipe.dev/v1alpha1/namespaces/plant/sensors/boiler"),
    ],
)
def test_the_path_of_an_object(kind: Kind, path: str) -> None:
    assert kind.resource.path("plant", "boiler") == path


def test_the_path_of_all_objects() -> None:
    assert Kind.POD.resource.path("plant") == "/api/v1/namespaces/plant/pods"
    assert Kind.DEPLOYMENT.resource.path(None) == "/apis/apps/v1/deployments"


def test_children_are_listed_before_their_sensors() -> None:
    assert [kind for kind in Kind if kind.is_child] == list(Kind)[:3]
    assert list(Kind)[3] is Kind.SENSOR
