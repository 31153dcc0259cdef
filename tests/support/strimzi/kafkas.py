"""Makes of a Kafka resource and its KafkaNodePool a broker, as Strimzi's cluster operator does."""

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any

from support.strimzi import authority as strimzi_authority
from support.strimzi import certificates as strimzi_certificates
from support.strimzi import network as strimzi_network
from support.strimzi import status as strimzi_status
from support.strimzi.api import Api, Object
from support.strimzi.authority import CLIENTS, CLUSTER, Authority
from support.strimzi.objects import Made, entity_operator, fingerprint
from support.strimzi.properties import UnknownError, check, listeners, server_properties

_VERSION = "4.3.1"

CERTIFICATE = "strimzi.io/cluster-ca-cert-generation"
KEY = "strimzi.io/cluster-ca-key-generation"
"""Of Secrets and pods: which certificate, and which key, of the authority they were made with."""

_CLIENTS = {
    "cluster-operator-certs": "cluster-operator",
    "entity-topic-operator-certs": "entity-operator",
    "entity-user-operator-certs": "entity-operator",
}
"""Secrets of Strimzi's own certificates, and how the files in them are called."""


class Kafkas:
    """All Kafka clusters of a namespace."""

    def __init__(self, api: Api, image: str) -> None:
        self._api = api
        self._image = image
        self._applied: dict[str, str] = {}

    def reconcile(self, kafka: Object) -> tuple[Made, str] | None:
        """Bring a cluster closer to its resource; return it and its pod's id once it is ready."""
        made = Made(kafka, self._pool(kafka), self._image)
        check(kafka)
        cluster_id = self._cluster_id(made)
        authority = strimzi_authority.see_to(self._api, made, CLUSTER)
        clients = strimzi_authority.see_to(self._api, made, CLIENTS)
        properties = server_properties(kafka, made.host)
        broker, generation = self._broker_certificate(made, authority)
        annotations = {
            KEY: str(authority.key_generation),
            CERTIFICATE: str(generation),
            "strimzi.io/server-cert-hash": fingerprint(broker),
            "strimzi.io/broker-config-hash": fingerprint(properties, self._image),
        }
        wanted = [
            *strimzi_network.objects(made),
            strimzi_authority.bundle(made, authority, clients),
            made.config_map(properties),
            made.stateful_set(cluster_id, annotations),
            *entity_operator(made),
        ]
        there = self._api.get("apps/v1", "statefulsets", made.set_name)
        state = fingerprint(json.dumps(wanted))
        if there is None or self._applied.get(made.name) != state:
            for one in wanted:
                self._api.apply(one)
            self._applied[made.name] = state
            return None
        pod = self._ready_pod(made, there)
        if pod is None:
            return None
        if authority.has_former and generation == authority.certificate_generation:
            strimzi_authority.forget_former(self._api, made, CLUSTER, authority)
        strimzi_status.ready(self._api, kafka, **_status(made, cluster_id, authority.certificate))
        return made, pod

    def _pool(self, kafka: Object) -> Object:
        pools = self._api.strimzi("KafkaNodePool", kafka["metadata"]["name"])
        if not pools:
            raise UnknownError("no KafkaNodePool has the label strimzi.io/cluster of this Kafka")
        if sum(pool["spec"]["replicas"] for pool in pools) != 1:
            raise UnknownError(
                "the stand-in for Strimzi runs one broker, which is a controller too"
            )
        if set(pools[0]["spec"]["roles"]) != {"broker", "controller"}:
            raise UnknownError("spec.roles: one node has to be broker and controller")
        return pools[0]

    def _cluster_id(self, made: Made) -> str:
        """Return the id by which the broker knows its volume, kept where Strimzi keeps it."""
        pool = made.pool
        known = made.kafka.get("status", {}).get("clusterId")
        known = known or pool.get("status", {}).get("clusterId")
        cluster_id: str = known or base64.urlsafe_b64encode(secrets.token_bytes(16))[:22].decode()
        selector = ",".join(f"{name}={value}" for name, value in made.pod_labels.items())
        strimzi_status.write(
            self._api,
            pool,
            [],
            nodeIds=[0],
            clusterId=cluster_id,
            roles=pool["spec"]["roles"],
            replicas=1,
            labelSelector=selector,
        )
        return cluster_id

    def _broker_certificate(self, made: Made, authority: Authority) -> tuple[str, int]:
        """Return the broker's certificate, and the generation of the authority's that signed it.

        Where the authority's key is new, the broker first restarts to trust it.
        """
        there = strimzi_authority.held(self._api, made, made.pod)
        file = f"{made.pod}.crt"
        if there is not None and file in there[0]:
            generation = int(there[1].get(CERTIFICATE, 0))
            of_today = generation == authority.certificate_generation
            if of_today or not self._trusts(made, authority):
                return there[0][file], generation
        for name, content in _CLIENTS.items():
            self._sign(made, authority, f"{made.name}-{name}", content)
        signed = self._sign(made, authority, made.pod, made.pod)
        return signed, authority.certificate_generation

    def _trusts(self, made: Made, authority: Authority) -> bool:
        """Whether the broker's pod is ready, and was started with the authority's key of today."""
        pod = self._api.get("v1", "pods", made.pod)
        if pod is None or not _is_ready(pod):
            return False
        generation = pod["metadata"].get("annotations", {}).get(KEY)
        return bool(generation == str(authority.key_generation))

    def _sign(self, made: Made, authority: Authority, secret: str, file: str) -> str:
        """Write a Secret of a new certificate and its key; return the certificate."""
        certificate, key = strimzi_certificates.signed(
            authority.certificate, authority.key, made.server_names
        )
        content = {f"{file}.crt": certificate, f"{file}.key": key}
        generation = {CERTIFICATE: str(authority.certificate_generation)}
        self._api.apply(made.secret(secret, content, generation))
        return certificate

    def _ready_pod(self, made: Made, stateful_set: Mapping[str, Any]) -> str | None:
        """Return the id of the pod if it is ready and as it should be."""
        status, metadata = stateful_set.get("status", {}), stateful_set["metadata"]
        pod = self._api.get("v1", "pods", made.pod)
        if pod is None or status.get("observedGeneration") != metadata["generation"]:
            return None
        revision = pod["metadata"]["labels"].get("controller-revision-hash")
        if revision != status.get("updateRevision") or not _is_ready(pod):
            return None
        uid: str = pod["metadata"]["uid"]
        return uid


def _is_ready(pod: Object) -> bool:
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
    return "deletionTimestamp" not in pod["metadata"] and conditions.get("Ready") == "True"


def _status(made: Made, cluster_id: str, certificate: str) -> dict[str, Any]:
    host = f"{made.name}-kafka-bootstrap.{made.kafka['metadata']['namespace']}.svc"
    return {
        "clusterId": cluster_id,
        "kafkaVersion": _VERSION,
        "kafkaMetadataVersion": "4.3-IV0",
        "operatorLastSuccessfulVersion": "1.2.0",
        "kafkaNodePools": [{"name": made.pool["metadata"]["name"]}],
        "listeners": [
            {
                "name": one.name,
                "addresses": [{"host": host, "port": one.port}],
                "bootstrapServers": f"{host}:{one.port}",
                "certificates": [certificate],
            }
            for one in listeners(made.kafka)
        ],
    }
