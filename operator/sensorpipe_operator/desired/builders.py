"""Builds the ConfigMap and the Deployments of a Sensor."""

import hashlib
import json
from dataclasses import replace

from sensorpipe_schema.sensor import API_VERSION, KIND, Metadata, Sensor

from sensorpipe_operator.desired.pods import pod_template, shares
from sensorpipe_operator.names import (
    DESIRED_ANNOTATION,
    OPERATOR_ANNOTATION,
    SHARE_LABEL,
    Body,
    deployment_name,
    labels,
    match_labels,
)
from sensorpipe_operator.settings import GeneratorSettings


def build_children(
    sensor: Sensor,
    uid: str,
    settings: GeneratorSettings,
    *,
    paused: bool = False,
    mark: str = "",
) -> list[Body]:
    """Return the ConfigMap and the Deployments of a Sensor in the order to apply them.

    Each share of the devices has a Deployment with one pod, because the pods of one Deployment
    could not tell which devices are theirs. There is always at least one Deployment, with no
    pod if the Sensor is stopped. While `paused`, no Deployment has a pod. `mark` says which
    release's operator they are; it is in no pod template, since another one restarts pods.
    """
    runs, data = sensor.spec.runs and not paused, _config_map(sensor)
    (content_key,) = data["data"]
    deployments = [
        _deployment(sensor, share, pod_template(sensor, share, content_key, settings), runs=runs)
        for share in range(shares(sensor))
    ]
    bodies = [(sensor.name, data)]
    bodies += [(deployment_name(sensor.name, i), body) for i, body in enumerate(deployments)]
    return [_complete(name, body, sensor, uid, mark) for name, body in bodies]


def content(sensor: Sensor) -> str:
    """Return the Sensor as JSON for its generators, without what only concerns their pods."""
    spec = replace(sensor.spec, replicas=1, suspend=False, resources=None)
    plain = Metadata(sensor.name, sensor.metadata.namespace, None, None)
    return json.dumps(Sensor(plain, spec).to_manifest(), indent=1, sort_keys=True)


def _data_key(text: str) -> str:
    """Return the ConfigMap's key for a content; it changes with the content.

    Pods name the key, so that a kubelet with an outdated copy of the ConfigMap cannot mount the
    old content into a new pod: it waits until the key exists.
    """
    return f"sensor-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def _config_map(sensor: Sensor) -> Body:
    """Return the ConfigMap of a Sensor without its metadata."""
    text = content(sensor)
    return {"apiVersion": "v1", "kind": "ConfigMap", "data": {_data_key(text): text}}


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
            # the old pod has drained and terminated before the new one starts; a rolling update
            # without surge starts it while the old pod still publishes
            "strategy": {"type": "Recreate"},
            "template": template,
        },
    }


def _complete(name: str, body: Body, sensor: Sensor, uid: str, mark: str) -> Body:
    """Return a child with its metadata: labels, owner, digest and mark."""
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
    annotations = {DESIRED_ANNOTATION: digest[:16]}
    if mark:
        annotations[OPERATOR_ANNOTATION] = mark
    return {**body, "metadata": {**metadata, "annotations": annotations}}
