"""Strimzi's own definitions of Kafka, KafkaNodePool, KafkaTopic and KafkaUser, in a cluster."""

import json
from pathlib import Path

from cluster_client import Cluster
from cluster_home import UnavailableError
from support.waiting import until

CRDS = Path(__file__).parents[3] / ".cache/strimzi/crds"
_NAMES = {
    f"{plural}.kafka.strimzi.io"
    for plural in ("kafkas", "kafkanodepools", "kafkatopics", "kafkausers")
}


def install(cluster: Cluster) -> None:
    """See that the cluster has Strimzi's CRDs: those it has already, or ours of Strimzi 1.2."""
    if _established(cluster) >= _NAMES:
        return
    files = sorted(CRDS.glob("Kafka*.yaml"))
    if len(files) < len(_NAMES):
        raise UnavailableError("no CRDs of Strimzi here; `make test-strimzi` brings them")
    # server-side: they are longer than what a client-side apply may note in an annotation
    paths = [word for file in files for word in ("-f", str(file))]
    cluster.kubectl("apply", "--server-side", *paths)
    until(lambda: not _NAMES - _established(cluster), state=lambda: _established(cluster))


def has_operator(cluster: Cluster) -> bool:
    """Whether Strimzi's own operator runs there, which then needs no stand-in."""
    deployments = cluster.kubectl(
        "get", "deployments", "-A", "-l", "app=strimzi", "-o", "jsonpath={.items[*].metadata.name}"
    )
    return "strimzi-cluster-operator" in deployments.split()


def _established(cluster: Cluster) -> set[str]:
    """Return the definitions that can be used; `kubectl wait` trips over one without a status."""
    return {
        item["metadata"]["name"]
        for item in json.loads(cluster.kubectl("get", "crd", "-o", "json"))["items"]
        for condition in item.get("status", {}).get("conditions") or []
        if condition["type"] == "Established" and condition["status"] == "True"
    }
