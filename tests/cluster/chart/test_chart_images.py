"""The images of Kafka, MongoDB and Mosquitto that stand for the official ones."""

import pytest
from cluster_client import Cluster
from support.kube import part_images, restricted_pod

_ASK = {
    "kafka": ("java -version 2>&1; ls /opt/kafka/libs", "kafka_2.13-4.3.1.jar"),
    "mongodb": ("mongod --version", "db version v6.0.5"),
    "mosquitto": ("which cp mosquitto_passwd; mosquitto -h", "mosquitto version 2.0."),
    "mosquitto21": ("which cp mosquitto_passwd; mosquitto -h", "mosquitto version 2.1."),
}


@pytest.mark.parametrize("part", _ASK)
def test_a_part_runs_as_any_user_on_a_read_only_root(cluster: Cluster, part: str):
    script, expected = _ASK[part]
    image = part_images.load(cluster, part)
    with cluster.namespace() as namespace:
        # mosquitto -h ends with an error although nothing is wrong
        asking = restricted_pod.pod("ask", image, f"{{ {script}; }} || true")
        cluster.apply(asking, namespace=namespace)
        succeeded = "--for=jsonpath={.status.phase}=Succeeded"
        cluster.kubectl("wait", succeeded, "pod/ask", "-n", namespace, "--timeout=60s")
        assert expected in cluster.kubectl("logs", "ask", "-n", namespace)
