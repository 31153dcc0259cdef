"""What a Sensor needs in the cluster, computed from the Sensor alone."""

import hashlib
import json

from sensorpipe_schema.sensor import API_VERSION, KIND, Sensor

from sensorpipe_operator.config_map import config_map
from sensorpipe_operator.names import (
    DESIRED_ANNOTATION,
    SHARE_LABEL,
    Body,
    deployment_name,
    labels,
    match_labels,
)
from sensorpipe_operator.pods import pod_template, shares
from sensorpipe_operator.settings import GeneratorSettings


def children(
    sensor: Sensor, uid: str, settings: GeneratorSettings, *, held: bool = False
) -> list[Body]:
    """Return the ConfigMap and the Deployments, complete, in the order to apply them.

    Each share of the devices has a Deployment with one pod, since the pods of one Deployment
    could not tell which devices are theirs. One Deployment is always there, if only with no
    pod. While `held`, none has a pod.
    """
    runs, read = sensor.spec.runs and not held, config_map(sensor)
    (content_key,) = read["data"]
    deployments = [
        _deployment(sensor, share, pod_template(sensor, share, content_key, settings), runs=runs)
        for share in range(shares(sensor))
    ]
    named = [(sensor.name, read)]
    named += [(deployment_name(sensor.name, i), body) for i, body in enumerate(deployments)]
    return [_complete(name, body, sensor, uid) for name, body in named]


def _deployment(sensor: Sensor, share: int, template: Body, *, runs: bool) -> Body:
    selected = {**match_labels(sensor.name), SHARE_LABEL: str(share)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {
            "replicas": 1 if runs else 0,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": 120,
            "selector": {"matchLabels": selected},
            # the former pod has drained and ended before the next one starts; a rolling update
            # without surge starts it while the former still publishes
            "strategy": {"type": "Recreate"},
            "template": template,
        },
    }


def _complete(name: str, body: Body, sensor: Sensor, uid: str) -> Body:
    """Return a child with its metadata."""
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": sensor.name,
        "uid": uid,
        "controller": True,
    }
    metadata = {
        "name": name,
        "namespace": sensor.key[0],
        "labels": labels(sensor.name),
        "ownerReferences": [owner],
    }
    digest = hashlib.sha256(json.dumps([body, metadata], sort_keys=True).encode()).hexdigest()
    metadata["annotations"] = {DESIRED_ANNOTATION: digest[:16]}
    return {**body, "metadata": metadata}
