"""Builds the pod template of a Sensor's generators."""

from typing import Final

import msgspec
from sensorpipe_schema.sensor import Sensor

from sensorpipe_operator.desired.resources import resources
from sensorpipe_operator.generator_pod import OWN_FOLDER, GeneratorPod
from sensorpipe_operator.names import SHARE_LABEL, SHARES_LABEL, Body, labels
from sensorpipe_operator.settings import GeneratorSettings

DRAIN_SECONDS: Final = 30
"""Seconds a terminating generator waits for the broker's acknowledgements."""
GRACE_SECONDS: Final = DRAIN_SECONDS + 15
"""Seconds after which the kubelet kills a terminating generator."""

_PORT: Final = 9090
"""Port of a generator's metrics and health."""
_USER: Final = 65532
"""User and group id of the generator."""


def pod_template(sensor: Sensor, share: int, content_key: str, settings: GeneratorSettings) -> Body:
    """Return the template of the pod for one share of the Sensor's devices."""
    return {
        "metadata": _metadata(sensor, share, settings.pod),
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            # otherwise Python is process 1 of the pod, for which the kernel ignores a SIGTERM
            # without a handler: one sent while Python starts would be lost
            "shareProcessNamespace": True,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "securityContext": {
                "runAsNonRoot": True,
                **({"runAsUser": _USER, "runAsGroup": _USER} if settings.pod.fixed_user else {}),
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            **settings.pod.placement,
            **_pull_secrets(settings),
            "containers": [_container(sensor, share, settings)],
            "volumes": _volumes(sensor.name, content_key, settings),
        },
    }


def shares(sensor: Sensor) -> int:
    """Return the number of shares that the Sensor's devices are divided into: at least 1."""
    return max(1, sensor.spec.replicas)


def has_outdated_share(pod: Body, sensor: Sensor) -> bool:
    """Whether a pod that still runs was created for another number of shares."""
    terminated = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return not terminated and pod["metadata"]["labels"].get(SHARES_LABEL) != str(shares(sensor))


def _metadata(sensor: Sensor, share: int, pod: GeneratorPod) -> Body:
    own = {SHARE_LABEL: str(share), SHARES_LABEL: str(shares(sensor))}
    found: Body = {"labels": {**pod.pod_labels, **labels(sensor.name), **own}}
    return found | ({"annotations": pod.pod_annotations} if pod.pod_annotations else {})


def _pull_secrets(settings: GeneratorSettings) -> Body:
    names = [{"name": name} for name in settings.pull_secrets]
    return {"imagePullSecrets": names} if names else {}


def _container(sensor: Sensor, share: int, settings: GeneratorSettings) -> Body:
    return {
        "name": "generator",
        "image": settings.image,
        "imagePullPolicy": settings.pull_policy,
        "command": ["sensorpipe-generator"],
        "env": _env(sensor, share, settings),
        "ports": [{"name": "http", "containerPort": _PORT, "protocol": "TCP"}],
        "resources": resources(sensor.spec.resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "startupProbe": _probe("/healthz", period=1, failures=60),
        "livenessProbe": _probe("/healthz", period=10, failures=6),
        "readinessProbe": _probe("/readyz", period=2, failures=3),
        # the end of the generator's log becomes the message of the Sensor's Ready condition
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": _mounts(settings),
    }


def _probe(path: str, *, period: int, failures: int) -> Body:
    return {
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _env(sensor: Sensor, share: int, settings: GeneratorSettings) -> list[Body]:
    url = {"secretKeyRef": {"name": settings.broker_secret, "key": "url"}}
    values = {
        "SENSORPIPE_SENSOR": f"{OWN_FOLDER}/sensor/sensor.json",
        "SENSORPIPE_SHARE": f"{share}/{shares(sensor)}",
        "SENSORPIPE_HTTP": f"0.0.0.0:{_PORT}",
        "SENSORPIPE_DRAIN": f"{DRAIN_SECONDS}s",
        "SENSORPIPE_LOG_LEVEL": settings.log_level,
    }
    if settings.broker_ca_key:
        values["SENSORPIPE_MQTT_CA_FILE"] = f"{OWN_FOLDER}/broker/{settings.broker_ca_key}"
    env: list[Body] = [{"name": name, "value": value} for name, value in values.items()]
    # a variable and not a file: then the pod's status reports a missing Secret
    env.append({"name": "SENSORPIPE_MQTT_URL", "valueFrom": url})
    return [*env, *msgspec.to_builtins(list(settings.pod.extra_env))]


def _mounts(settings: GeneratorSettings) -> list[Body]:
    names = ["sensor", "broker"] if settings.broker_ca_key else ["sensor"]
    own = [{"name": n, "mountPath": f"{OWN_FOLDER}/{n}", "readOnly": True} for n in names]
    return [*own, *msgspec.to_builtins(list(settings.pod.extra_volume_mounts))]


def _volumes(name: str, content_key: str, settings: GeneratorSettings) -> list[Body]:
    items = [{"key": content_key, "path": "sensor.json"}]
    volumes: list[Body] = [{"name": "sensor", "configMap": {"name": name, "items": items}}]
    if key := settings.broker_ca_key:
        # optional: without it the generator starts and logs what is missing
        secret = {"secretName": settings.broker_secret, "optional": True}
        volumes.append(
            {"name": "broker", "secret": {**secret, "items": [{"key": key, "path": key}]}}
        )
    return [*volumes, *settings.pod.extra_volumes]
