"""Strimzi's own definitions of Kafka, KafkaNodePool, KafkaTopic and KafkaUser, in a cluster."""

import json
from pathlib import Path

from cluster_client import Cluster
from cluster_home import UnavailableError

CRDS = Path(__file__).parent.parent / ".cache/strimzi/crds"
_NAMES = ("kafkas", "kafkanodepools", "kafkatopics", "kafkausers")


def install(cluster: Cluster) -> None:
    """See that the cluster has Strimzi's CRDs: those it has already, or ours of Strimzi 1.2."""
    listed = json.loads(cluster.kubectl("get", "crd", "-o", "json"))["items"]
    present = {item["metadata"]["name"] for item in listed}
    wanted = {f"{name}.kafka.strimzi.io" for name in _NAMES}
    if wanted <= present:
        return
    files = sorted(CRDS.glob("Kafka*.yaml"))
    if len(files) < len(wanted):
        raise UnavailableError("no CRDs of Strimzi here; `make test-strimzi` brings them")
    # server-side: they are longer than what a client-side apply may note in an annotation
    paths = [word for file in files for word in ("-f", str(file))]
    cluster.kubectl("apply", "--server-side", *paths)
    named = [f"crd/{name}" for name in sorted(wanted)]
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *named)


def has_operator(cluster: Cluster) -> bool:
    """Whether Strimzi's own operator runs there, which then needs no stand-in."""
    deployments = cluster.kubectl(
        "get", "deployments", "-A", "-l", "app=strimzi", "-o", "jsonpath={.items[*].metadata.name}"
    )
    return "strimzi-cluster-operator" in deployments.split()
