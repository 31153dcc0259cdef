"""Makes of a Kafka resource and its KafkaNodePool a broker, as Strimzi's cluster operator does."""

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any

import strimzi_certificates
import strimzi_status
from strimzi_api import Api, Object
from strimzi_objects import Made, entity_operator, fingerprint
from strimzi_properties import UnknownError, check, listeners, server_properties

_VERSION = "4.3.1"


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
        certificate = self._authority(made)
        properties = server_properties(kafka, made.host)
        broker = self._broker_certificate(made, *certificate)
        version = fingerprint(properties, broker, self._image)
        wanted = [
            *made.services(),
            made.config_map(properties),
            made.stateful_set(cluster_id, version),
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
        strimzi_status.ready(self._api, kafka, **_status(made, cluster_id, certificate[0]))
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

    def _authority(self, made: Made) -> tuple[str, str]:
        """Return the certificate and the key of the cluster's authority, made if need be."""
        names = (f"{made.name}-cluster-ca-cert", f"{made.name}-cluster-ca")
        certificate, key = (self._secret(made, name) for name in names)
        if certificate is None or key is None:
            new = strimzi_certificates.authority()
            certificate, key = {"ca.crt": new[0]}, {"ca.key": new[1]}
            self._api.apply(made.secret(names[0], certificate))
            self._api.apply(made.secret(names[1], key))
        return certificate["ca.crt"], key["ca.key"]

    def _broker_certificate(self, made: Made, certificate: str, key: str) -> str:
        there = self._secret(made, made.pod)
        if there is None or there["ca.crt"] != certificate:
            own, own_key = strimzi_certificates.signed(certificate, key, made.server_names)
            there = {"broker.pem": own_key + own, "ca.crt": certificate}
            self._api.apply(made.secret(made.pod, there))
        return there["broker.pem"]

    def _secret(self, made: Made, name: str) -> dict[str, str] | None:
        """Return what a Secret of this very Kafka resource holds; another's is about to go."""
        found = self._api.get("v1", "secrets", name)
        if found is None:
            return None
        owners = [owner["uid"] for owner in found["metadata"].get("ownerReferences", [])]
        if made.kafka["metadata"]["uid"] not in owners:
            return None
        return {name: base64.b64decode(value).decode() for name, value in found["data"].items()}

    def _ready_pod(self, made: Made, stateful_set: Mapping[str, Any]) -> str | None:
        """Return the id of the pod if it is ready and as it should be."""
        status, metadata = stateful_set.get("status", {}), stateful_set["metadata"]
        pod = self._api.get("v1", "pods", made.pod)
        if pod is None or status.get("observedGeneration") != metadata["generation"]:
            return None
        revision = pod["metadata"]["labels"].get("controller-revision-hash")
        conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
        if "deletionTimestamp" in pod["metadata"] or revision != status.get("updateRevision"):
            return None
        uid: str = pod["metadata"]["uid"]
        return uid if conditions.get("Ready") == "True" else None


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
