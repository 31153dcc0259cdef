"""Who reaches a Kafka cluster, and how: its Services, NetworkPolicies and disruption budgets."""

from collections.abc import Iterable
from typing import Any

from support.strimzi import labels as strimzi_labels
from support.strimzi.objects import Made
from support.strimzi.properties import ADMIN_PORT, AGENT_PORT, CONTROLLER_PORT, broker_ports

_HEALTH_PORTS = (8080, 8081)
"""Of topic operator and user operator."""

_CLUSTER_OPERATOR = {
    "podSelector": {"matchLabels": {"strimzi.io/kind": "cluster-operator"}},
    "namespaceSelector": {},
}


def objects(made: Made) -> list[dict[str, Any]]:
    """Return all of them: they go when the Kafka resource goes."""
    return [*_services(made), *_policies(made), *_budgets(made)]


def _services(made: Made) -> list[dict[str, Any]]:
    """Return the Service that clients begin with, and the one that names the pod."""
    ports = [
        {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
        for name, port in broker_ports(made.kafka)
    ]
    first = [port for port in ports if port["port"] not in (CONTROLLER_PORT, AGENT_PORT)]
    brokers = strimzi_labels.selector(made.name, "kafka")
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": made.named(f"{made.name}-kafka-{name}"),
            "spec": spec,
        }
        for name, spec in (
            (
                "bootstrap",
                {"ports": first, "selector": {**brokers, "strimzi.io/broker-role": "true"}},
            ),
            (
                "brokers",
                {
                    "ports": ports,
                    "selector": brokers,
                    "clusterIP": "None",
                    "publishNotReadyAddresses": True,
                },
            ),
        )
    ]


def _policies(made: Made) -> list[dict[str, Any]]:
    kafka = _peer(made, "kafka")
    inner = [_CLUSTER_OPERATOR, kafka, _peer(made, "entity-operator")]
    rules = [
        _rule(CONTROLLER_PORT, [kafka, _CLUSTER_OPERATOR]),
        _rule(ADMIN_PORT, inner),
        _rule(AGENT_PORT, [_CLUSTER_OPERATOR]),
    ]
    rules += [
        _rule(one["port"], one.get("networkPolicyPeers", []))
        for one in made.kafka["spec"]["kafka"]["listeners"]
    ]
    return [
        _policy(made, f"{made.name}-network-policy-kafka", "kafka", rules),
        _policy(
            made,
            f"{made.name}-entity-operator",
            "entity-operator",
            [_rule(port, []) for port in _HEALTH_PORTS],
        ),
    ]


def _policy(made: Made, name: str, component: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": made.named(name, component),
        "spec": {
            "podSelector": {"matchLabels": strimzi_labels.selector(made.name, component)},
            "policyTypes": ["Ingress"],
            "ingress": rules,
        },
    }


def _rule(port: int, peers: Iterable[Any]) -> dict[str, Any]:
    """Return what lets peers reach a port: all of them, if none is named."""
    rule: dict[str, Any] = {"ports": [{"port": port, "protocol": "TCP"}]}
    return {**rule, "from": found} if (found := list(peers)) else rule


def _peer(made: Made, component: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": strimzi_labels.selector(made.name, component)}}


def _budgets(made: Made) -> list[dict[str, Any]]:
    """Return the budget of the brokers, whose keeper is no built-in one, and of the operator."""
    template = made.kafka["spec"]["kafka"].get("template", {}).get("podDisruptionBudget", {})
    least = max(0, 1 - template.get("maxUnavailable", 1))
    return [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": made.named(f"{made.name}-{component}", component),
            "spec": {
                **bound,
                "selector": {"matchLabels": strimzi_labels.selector(made.name, component)},
            },
        }
        for component, bound in (
            ("kafka", {"minAvailable": least}),
            ("entity-operator", {"maxUnavailable": 1}),
        )
    ]
