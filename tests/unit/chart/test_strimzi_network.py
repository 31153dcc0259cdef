"""What the tests' Strimzi makes of a Kafka, held to what Strimzi 1.2.0 was seen to make."""

from typing import Any

from support.strimzi import network as strimzi_network
from support.strimzi.objects import Made

KAFKA = {
    "metadata": {"name": "pipe", "namespace": "sensors", "uid": "1"},
    "spec": {
        "kafka": {
            "listeners": [
                {
                    "name": "tls",
                    "port": 9093,
                    "type": "internal",
                    "tls": True,
                    "authentication": {"type": "scram-sha-512"},
                    "networkPolicyPeers": [{"podSelector": {"matchLabels": {"app": "server"}}}],
                }
            ],
            "template": {"podDisruptionBudget": {"maxUnavailable": 1}},
        },
        "entityOperator": {},
    },
}
POOL = {
    "metadata": {"name": "node", "uid": "2"},
    "spec": {"storage": {"type": "ephemeral"}, "replicas": 1},
}
MADE = Made(KAFKA, POOL, "kafka:1")
OBJECTS = {(one["kind"], one["metadata"]["name"]): one for one in strimzi_network.objects(MADE)}


def owners(made: dict[str, Any]) -> list[str]:
    return [owner["kind"] for owner in made["metadata"]["ownerReferences"]]


def test_it_makes_two_of_each():
    assert set(OBJECTS) == {
        ("Service", "pipe-kafka-bootstrap"),
        ("Service", "pipe-kafka-brokers"),
        ("NetworkPolicy", "pipe-network-policy-kafka"),
        ("NetworkPolicy", "pipe-entity-operator"),
        ("PodDisruptionBudget", "pipe-kafka"),
        ("PodDisruptionBudget", "pipe-entity-operator"),
    }
    assert all(owners(made) == ["Kafka"] for made in OBJECTS.values())


def test_ports_have_strimzis_names():
    ports = {
        name: {one["name"]: one["port"] for one in OBJECTS["Service", name]["spec"]["ports"]}
        for name in ("pipe-kafka-bootstrap", "pipe-kafka-brokers")
    }
    clients = {"tcp-replication": 9091, "tcp-clientstls": 9093}
    assert ports == {
        "pipe-kafka-bootstrap": clients,
        "pipe-kafka-brokers": {**clients, "tcp-ctrlplane": 9090, "tcp-kafkaagent": 8443},
    }
    pod = MADE.stateful_set("id", {})["spec"]["template"]["spec"]["containers"][0]
    named = {one["name"]: one["containerPort"] for one in pod["ports"]}
    assert named == ports["pipe-kafka-brokers"]


def test_a_listeners_peers_and_no_others_reach_it():
    rules = OBJECTS["NetworkPolicy", "pipe-network-policy-kafka"]["spec"]["ingress"]
    (peer,) = next(rule["from"] for rule in rules if rule["ports"][0]["port"] == 9093)
    assert peer == {"podSelector": {"matchLabels": {"app": "server"}}}
    ports = [rule["ports"][0]["port"] for rule in rules]
    assert ports == [9090, 9091, 8443, 9093]


def test_the_one_broker_may_go():
    assert OBJECTS["PodDisruptionBudget", "pipe-kafka"]["spec"]["minAvailable"] == 0


def test_what_keeps_the_broker_belongs_to_the_pool():
    kept = (MADE.stateful_set("id", {}), MADE.config_map("x=y"))
    assert [owners(one) for one in kept] == [["KafkaNodePool"], ["KafkaNodePool"]]
