"""The labels that Strimzi 1.2 puts on all that it makes."""


def of(cluster: str, component: str) -> dict[str, str]:
    """Return the labels of a cluster's component: "kafka" or "entity-operator"."""
    return {
        "strimzi.io/cluster": cluster,
        "strimzi.io/kind": "Kafka",
        "strimzi.io/name": f"{cluster}-{component}",
        "strimzi.io/component-type": component,
        "app.kubernetes.io/name": component,
        "app.kubernetes.io/instance": cluster,
        "app.kubernetes.io/part-of": f"strimzi-{cluster}",
        "app.kubernetes.io/managed-by": "strimzi-cluster-operator",
    }


SELECTOR = ("strimzi.io/cluster", "strimzi.io/kind", "strimzi.io/name")
"""Of these, what finds a component's pods."""


def selector(cluster: str, component: str) -> dict[str, str]:
    """Return what finds the pods of a cluster's component."""
    return {name: value for name, value in of(cluster, component).items() if name in SELECTOR}
