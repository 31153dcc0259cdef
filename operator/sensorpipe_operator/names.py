"""Names and labels of the objects that the operator writes, and how they lead to a Sensor."""

from enum import StrEnum
from typing import Any, Final, NamedTuple

from sensorpipe_schema.sensor import API_VERSION

MANAGER: Final = "sensorpipe-operator"
"""Field manager of all writes, and `app.kubernetes.io/managed-by` of every child."""

GROUP: Final = API_VERSION.split("/")[0]
VERSION: Final = API_VERSION.split("/")[1]

SENSOR_LABEL: Final = f"{GROUP}/sensor"
"""Label of every child: the name of its Sensor."""
SHARE_LABEL: Final = f"{GROUP}/share"
"""Label of Deployments' pods: which share of the devices is theirs, from 0."""
SHARES_LABEL: Final = f"{GROUP}/shares"
"""Label of pods: into how many shares the devices were divided when the pod was created."""
DESIRED_ANNOTATION: Final = f"{GROUP}/desired"
"""Annotation of every child: a digest of what was applied, which a removed field changes too."""
OPERATOR_ANNOTATION: Final = f"{GROUP}/operator"
"""Annotation of every child: whose it is, by the Lease of the release, `NAMESPACE/NAME`."""

CREATED_ANNOTATION: Final = f"{GROUP}/created"
"""Annotation in the compactor's files: when the Feed was created."""
FEEDS_ANNOTATION: Final = f"{GROUP}/feeds"
"""Annotation of the compactor's pod: which files it is to have. A change has the kubelet look."""

MANAGED_BY: Final = f"app.kubernetes.io/managed-by={MANAGER}"
"""Label selector of all children."""


class Resource(NamedTuple):
    """Where the API server serves the objects of one kind."""

    group: str
    """API group; empty for the core group."""
    version: str
    plural: str
    """Name of the kind in paths."""

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """Return the path of all objects in the cluster, of those in a namespace, or of one."""
        parts = ["/apis", self.group] if self.group else ["/api"]
        parts.append(self.version)
        if namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        return "/".join(parts)


class Kind(StrEnum):
    """The kinds of objects that the operator lists, watches and caches, in the order to list them.

    Children come before Sensors: a Sensor whose children are not cached yet would be applied
    again.
    """

    POD = "Pod"
    CONFIG_MAP = "ConfigMap"
    DEPLOYMENT = "Deployment"
    SENSOR = "Sensor"
    FEED = "Feed"

    @property
    def resource(self) -> Resource:
        """Where the API server serves the objects of this kind."""
        return _RESOURCES[self]

    @property
    def is_child(self) -> bool:
        """Whether objects of this kind belong to a Sensor, and have the labels of its children."""
        return self not in (Kind.SENSOR, Kind.FEED)


_RESOURCES: Final = {
    Kind.POD: Resource("", "v1", "pods"),
    Kind.CONFIG_MAP: Resource("", "v1", "configmaps"),
    Kind.DEPLOYMENT: Resource("apps", "v1", "deployments"),
    Kind.SENSOR: Resource(GROUP, VERSION, "sensors"),
    Kind.FEED: Resource(GROUP, VERSION, "feeds"),
}

Key = tuple[str, str]
"""Namespace and name of a Sensor or Feed."""
Body = dict[str, Any]
"""An object of the Kubernetes API, decoded from JSON."""


def labels(sensor: str) -> dict[str, str]:
    """Return the labels of the children of the Sensor of this name."""
    return {
        "app.kubernetes.io/name": "sensorpipe",
        "app.kubernetes.io/instance": sensor,
        "app.kubernetes.io/component": "generator",
        "app.kubernetes.io/part-of": "sensorpipe",
        "app.kubernetes.io/managed-by": MANAGER,
        SENSOR_LABEL: sensor,
    }


def match_labels(sensor: str) -> dict[str, str]:
    """Return the labels that select a Sensor's pods; they never change between versions."""
    return {"app.kubernetes.io/managed-by": MANAGER, SENSOR_LABEL: sensor}


def selector(sensor: str) -> str:
    """Return the label selector of a Sensor's pods as text, as `status.selector` has it."""
    return ",".join(f"{name}={value}" for name, value in match_labels(sensor).items())


def key_of(body: Body) -> Key:
    """Return the key of a Sensor or Feed."""
    metadata = body["metadata"]
    return metadata["namespace"], metadata["name"]


def owner_of(child: Body) -> Key | None:
    """Return the key of the Sensor that a child's labels name, or None if they name none."""
    metadata = child["metadata"]
    name = metadata.get("labels", {}).get(SENSOR_LABEL)
    return (metadata["namespace"], name) if name else None


def deployment_name(sensor: str, share: int) -> str:
    """Return the name of one share's Deployment.

    It is unique among all Sensors' Deployments, because names of Sensors have no dots.
    """
    return f"{sensor}.{share}" if share else sensor
