"""The stand-in for Strimzi and a Kafka resource that goes while it is looked after."""

from typing import Any

import pytest
from support.strimzi.api import Api, ApiError
from support.strimzi.authority import CLUSTER, see_to
from support.strimzi.objects import Made

KAFKA = {"kind": "Kafka", "metadata": {"name": "pipe", "namespace": "n", "uid": "one"}}
POOL = {"kind": "KafkaNodePool", "metadata": {"name": "node", "uid": "two"}}


class Cluster(Api):
    """An API server in which a Kafka resource and its Secrets may be gone."""

    def __init__(self, *kafkas: dict[str, Any]) -> None:
        super().__init__("http://nowhere.invalid", "n")
        self.kafkas = kafkas
        self.applied: list[str] = []

    def get(self, version: str, plural: str, name: str) -> None:
        """Return nothing: the garbage collector was here, or it is the first look."""

    def strimzi(self, kind: str, cluster: str | None = None) -> list[dict[str, Any]]:
        assert (kind, cluster) == ("Kafka", None)
        return list(self.kafkas)

    def apply(self, wanted: Any) -> None:
        self.applied.append(wanted["metadata"]["name"])

    def merge(self, there: Any, change: Any, part: str = "") -> None:
        """Take away what asked for a renewal."""


def test_the_authority_of_a_new_resource_is_made():
    cluster = Cluster(KAFKA)
    assert see_to(cluster, Made(KAFKA, POOL, "image"), CLUSTER).key_generation == 0
    assert cluster.applied == ["pipe-cluster-ca", "pipe-cluster-ca-cert"]


@pytest.mark.parametrize("others", [[], [{"metadata": {"name": "pipe", "uid": "next"}}]])
def test_the_authority_of_a_resource_that_has_gone_is_not_made_again(others: list[dict[str, Any]]):
    cluster = Cluster(*others)
    with pytest.raises(ApiError, match="Kafka pipe is gone"):
        see_to(cluster, Made(KAFKA, POOL, "image"), CLUSTER)
    assert cluster.applied == []
