"""The pod of a broker: any image with Kafka's jars in /opt/kafka/libs and a Java will do."""

from collections.abc import Mapping
from typing import Any

from support.strimzi.properties import KEYSTORE, LOG_DIR, UnknownError, broker_ports, listeners

USER = 1001
"""The user of Strimzi's own images."""

_PLACEMENT = ("affinity", "tolerations", "topologySpreadConstraints", "priorityClassName")
"""What a pod template of a resource says that decides where its pods may run."""

_POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}

# Strimzi's own script too formats only an empty volume, and lets no other cluster's pass
_START = f"""\
set -eu
kafka() {{
    exec java -cp '/opt/kafka/libs/*' -Dlog4j2.configurationFile=/mnt/config/log4j2.properties "$@"
}}
if [ ! -e {LOG_DIR}/meta.properties ]; then
    (kafka kafka.tools.StorageTool format -t="$CLUSTER_ID" -c=/mnt/config/server.properties)
fi
grep -q "^cluster.id=$CLUSTER_ID$" {LOG_DIR}/meta.properties || {{
    echo "Invalid cluster.id in: {LOG_DIR}/meta.properties. Expected $CLUSTER_ID, but read" \\
        "$(grep cluster.id {LOG_DIR}/meta.properties): the volume is another Kafka resource's" >&2
    exit 1
}}
cat /mnt/certificates/*.key /mnt/certificates/*.crt >{KEYSTORE}
kafka $JVM_OPTIONS -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError \\
    kafka.Kafka /mnt/config/server.properties
"""


def spec(
    kafka: Mapping[str, Any], pool: Mapping[str, Any], name: str, image: str, cluster_id: str
) -> dict[str, Any]:
    """Return a broker's pod, under the restricted standard; its files are named like it."""
    volumes = [
        *storage(pool)[0],
        {"name": "config", "configMap": {"name": name}},
        {"name": "certificates", "secret": {"secretName": name}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "50Mi"}},
    ]
    template = kafka["spec"]["kafka"].get("template", {}).get("pod", {})
    placement = {key: template[key] for key in _PLACEMENT if key in template}
    return {
        **placement,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": _POD_SECURITY,
        "containers": [_container(kafka, pool, image, cluster_id)],
        "volumes": volumes,
    }


def entity_operator(
    kafka: Mapping[str, Any], labels: Mapping[str, str], image: str
) -> dict[str, Any]:
    """Return the template of the entity operator's pod, which holds labels and token, and waits."""
    template = kafka["spec"]["entityOperator"].get("template", {}).get("pod", {})
    wait = "trap 'exit 0' TERM; while true; do sleep 3600 & wait $!; done"
    return {
        "metadata": {"labels": dict(labels)},
        "spec": {
            **{key: template[key] for key in _PLACEMENT if key in template},
            "serviceAccountName": f"{kafka['metadata']['name']}-entity-operator",
            "securityContext": _POD_SECURITY,
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "command": ["sh", "-c", wait],
                    "securityContext": _SECURITY,
                }
                for name in ("topic-operator", "user-operator")
            ],
        },
    }


def storage(pool: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the pool's own volumes and its claims: one of the two holds the data."""
    wanted = _volume(pool)
    if wanted["type"] == "ephemeral":
        return [{"name": "data-0", "emptyDir": {}}], []
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": wanted["size"]}},
    }
    if wanted.get("class"):
        claim["storageClassName"] = wanted["class"]
    return [], [{"metadata": {"name": "data-0"}, "spec": claim}]


def retention(pool: Mapping[str, Any]) -> str:
    """Return what becomes of the data when the Kafka resource goes."""
    return "Delete" if _volume(pool).get("deleteClaim") else "Retain"


def _volume(pool: Mapping[str, Any]) -> Mapping[str, Any]:
    wanted: Mapping[str, Any] = pool["spec"]["storage"]
    if wanted["type"] != "jbod":
        return wanted
    if len(wanted["volumes"]) != 1:
        raise UnknownError("spec.storage.volumes: the stand-in for Strimzi takes one volume")
    only: Mapping[str, Any] = wanted["volumes"][0]
    return only


def _container(
    kafka: Mapping[str, Any], pool: Mapping[str, Any], image: str, cluster_id: str
) -> dict[str, Any]:
    ports = listeners(kafka)
    return {
        "name": "kafka",
        "image": image,
        "command": ["sh", "-c", _START],
        "env": [
            {"name": "CLUSTER_ID", "value": cluster_id},
            {"name": "JVM_OPTIONS", "value": _jvm_options(kafka, pool)},
        ],
        "ports": [{"name": one, "containerPort": port} for one, port in broker_ports(kafka)],
        "readinessProbe": {"tcpSocket": {"port": ports[0].port}, "periodSeconds": 1},
        "resources": pool["spec"].get("resources", {}),
        "securityContext": _SECURITY,
        "volumeMounts": [
            {"name": "data-0", "mountPath": "/var/lib/kafka/data-0"},
            {"name": "config", "mountPath": "/mnt/config"},
            {"name": "certificates", "mountPath": "/mnt/certificates"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _jvm_options(kafka: Mapping[str, Any], pool: Mapping[str, Any]) -> str:
    """Return the heap's bounds: half of the container's memory unless a resource says more."""
    options = pool["spec"].get("jvmOptions") or kafka["spec"]["kafka"].get("jvmOptions") or {}
    bounds = [f"{name}{options[name]}" for name in ("-Xms", "-Xmx") if name in options]
    return " ".join(bounds) or "-XX:MaxRAMPercentage=50"
