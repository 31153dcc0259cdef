"""What Strimzi would make of a Kafka and a KafkaNodePool, by the names that Strimzi gives."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from support.strimzi import labels as strimzi_labels
from support.strimzi import pod as strimzi_pod

_LOG4J = """\
rootLogger.level=WARN
rootLogger.appenderRef.stdout.ref=stdout
appender.stdout.type=Console
appender.stdout.name=stdout
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=%d %p %m (%c)%n
"""


@dataclass(frozen=True, slots=True)
class Made:
    """One Kafka cluster and its one node."""

    kafka: Mapping[str, Any]
    pool: Mapping[str, Any]
    image: str

    @property
    def name(self) -> str:
        """The cluster's name."""
        name: str = self.kafka["metadata"]["name"]
        return name

    @property
    def set_name(self) -> str:
        """The name of what keeps the pod; Strimzi's StrimziPodSet has the same."""
        return f"{self.name}-{self.pool['metadata']['name']}"

    @property
    def pod(self) -> str:
        """The pod's name."""
        return f"{self.set_name}-0"

    @property
    def host(self) -> str:
        """The name that clients are told to find the broker under."""
        return f"{self.pod}.{self.name}-kafka-brokers.{self.kafka['metadata']['namespace']}.svc"

    @property
    def server_names(self) -> list[str]:
        """The names that the broker's certificate is good for."""
        namespace = self.kafka["metadata"]["namespace"]
        services = (f"{self.name}-kafka-bootstrap", f"{self.name}-kafka-brokers")
        names = [self.host, f"{self.host}.cluster.local", f"{self.name}-kafka"]
        for service in services:
            full = f"{service}.{namespace}.svc"
            names += [service, f"{service}.{namespace}", full, f"{full}.cluster.local"]
        return names

    @property
    def pod_labels(self) -> dict[str, str]:
        """Return the labels of the pod."""
        roles = {"strimzi.io/broker-role": "true", "strimzi.io/controller-role": "true"}
        of_pool = {"strimzi.io/pool-name": self._pool_name}
        return {**strimzi_labels.of(self.name, "kafka"), **roles, **of_pool}

    @property
    def _pool_name(self) -> str:
        name: str = self.pool["metadata"]["name"]
        return name

    def named(self, name: str, component: str = "kafka") -> dict[str, Any]:
        """Return the metadata of an object that goes when the Kafka resource goes."""
        labels = strimzi_labels.of(self.name, component)
        return {"name": name, "labels": labels, "ownerReferences": [_owner("Kafka", self.kafka)]}

    def of_pool(self, name: str) -> dict[str, Any]:
        """Return the metadata of an object that stays when the Kafka resource goes."""
        labels = {**strimzi_labels.of(self.name, "kafka"), "strimzi.io/pool-name": self._pool_name}
        owner = _owner("KafkaNodePool", self.pool)
        return {"name": name, "labels": labels, "ownerReferences": [owner]}

    def secret(
        self, name: str, content: Mapping[str, str], annotations: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return a Secret; what it held before and does not hold now, is removed."""
        named = {**self.named(name), "annotations": dict(annotations)}
        # as `stringData` nothing would be removed
        data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": named, "data": data}

    def config_map(self, properties: str) -> dict[str, Any]:
        """Return the broker's configuration."""
        files = {"server.properties": properties, "log4j2.properties": _LOG4J}
        named = self.of_pool(self.pod)
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "data": files}

    def stateful_set(self, cluster_id: str, annotations: Mapping[str, str]) -> dict[str, Any]:
        """Return what keeps the pod, a StrimziPodSet's part; other annotations make another pod."""
        template = {
            "metadata": {"labels": self.pod_labels, "annotations": dict(annotations)},
            "spec": strimzi_pod.spec(self.kafka, self.pool, self.pod, self.image, cluster_id),
        }
        spec = {
            "replicas": 1,
            "serviceName": f"{self.name}-kafka-brokers",
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": self.pod_labels},
            "template": template,
            "volumeClaimTemplates": strimzi_pod.storage(self.pool)[1],
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": strimzi_pod.retention(self.pool)
            },
        }
        named = self.of_pool(self.set_name)
        return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": named, "spec": spec}


def _owner(kind: str, owner: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": False,
        "controller": False,
    }


def entity_operator(made: Made) -> list[dict[str, Any]]:
    """Return the service account and the Deployment of the entity operator."""
    named = made.named(f"{made.name}-entity-operator", "entity-operator")
    template = strimzi_pod.entity_operator(made.kafka, named["labels"], made.image)
    spec = {"selector": {"matchLabels": named["labels"]}, "template": template}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named, "spec": spec},
    ]


def fingerprint(*parts: str) -> str:
    """Return a short name of what a pod is started with."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
