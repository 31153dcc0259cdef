"""What Strimzi would make of a Kafka and a KafkaNodePool, by the names that Strimzi gives."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import strimzi_labels
import strimzi_pod
from strimzi_properties import listeners

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
        pool = self.pool["metadata"]["name"]
        return {**strimzi_labels.of(self.name, "kafka"), **roles, "strimzi.io/pool-name": pool}

    def named(self, name: str, component: str = "kafka") -> dict[str, Any]:
        """Return the metadata of an object that goes when the Kafka resource goes."""
        owner = {
            "apiVersion": "kafka.strimzi.io/v1",
            "kind": "Kafka",
            "name": self.name,
            "uid": self.kafka["metadata"]["uid"],
            "blockOwnerDeletion": False,
            "controller": False,
        }
        labels = strimzi_labels.of(self.name, component)
        return {"name": name, "labels": labels, "ownerReferences": [owner]}

    def secret(self, name: str, content: Mapping[str, str]) -> dict[str, Any]:
        """Return a Secret."""
        named = self.named(name)
        return {"apiVersion": "v1", "kind": "Secret", "metadata": named, "stringData": content}

    def services(self) -> list[dict[str, Any]]:
        """Return the Service that clients begin with, and the one that names the pod."""
        ports = [
            {"name": f"tcp-{one.name}", "port": one.port, "targetPort": one.port}
            for one in listeners(self.kafka)
        ]
        brokers = {"clusterIP": "None", "publishNotReadyAddresses": True}
        return [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": self.named(f"{self.name}-kafka-{name}"),
                "spec": {"selector": self.pod_labels, "ports": ports, **more},
            }
            for name, more in (("bootstrap", {}), ("brokers", brokers))
        ]

    def config_map(self, properties: str) -> dict[str, Any]:
        """Return the broker's configuration."""
        files = {"server.properties": properties, "log4j2.properties": _LOG4J}
        named = self.named(self.pod)
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "data": files}

    def stateful_set(self, cluster_id: str, version: str) -> dict[str, Any]:
        """Return what keeps the pod; another version of its configuration makes another pod."""
        template = {
            "metadata": {"labels": self.pod_labels, "annotations": {"version": version}},
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
        named = self.named(self.set_name)
        return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": named, "spec": spec}


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
