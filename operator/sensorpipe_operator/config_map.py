"""The ConfigMap of a Sensor: what its generators read."""

import hashlib
import json
from dataclasses import replace

from sensorpipe_schema.sensor import Metadata, Sensor

from sensorpipe_operator.names import Body


def content(sensor: Sensor) -> str:
    """Return what the generators read; what only the pods' number depends on is left out."""
    spec = replace(sensor.spec, replicas=1, suspend=False, resources=None)
    plain = Metadata(sensor.name, sensor.metadata.namespace, None, None)
    return json.dumps(Sensor(plain, spec).to_manifest(), indent=1, sort_keys=True)


def data_key(text: str) -> str:
    """Return a content's key, which is another for another content.

    A pod names it, so that a node which still remembers the former content cannot give it
    to the pod of the new one: the kubelet waits until the key is there.
    """
    return f"sensor-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def config_map(sensor: Sensor) -> Body:
    """Return the ConfigMap's own part."""
    text = content(sensor)
    return {"apiVersion": "v1", "kind": "ConfigMap", "data": {data_key(text): text}}
