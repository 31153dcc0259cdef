"""What the operator calls things in a cluster, and how it finds them again."""

from typing import Any, Final

from sensorpipe_schema.sensor import API_VERSION

MANAGER: Final = "sensorpipe-operator"
"""The field manager, and `app.kubernetes.io/managed-by` of every child."""

GROUP: Final = API_VERSION.split("/")[0]
VERSION: Final = API_VERSION.split("/")[1]

SENSOR_LABEL: Final = f"{GROUP}/sensor"
SHARE_LABEL: Final = f"{GROUP}/share"
SHARES_LABEL: Final = f"{GROUP}/shares"
"""On pods: among how many the devices were divided."""
DESIRED_ANNOTATION: Final = f"{GROUP}/desired"
"""A digest of what was applied: a field that is no longer wanted changes it too."""

MANAGED_BY: Final = f"app.kubernetes.io/managed-by={MANAGER}"
"""The label selector of all children."""

Key = tuple[str, str]
"""Namespace and name of a Sensor."""
Body = dict[str, Any]
"""An object as the API server hands it out."""


def labels(sensor: str) -> dict[str, str]:
    """Return the labels of a Sensor's children."""
    return {
        "app.kubernetes.io/name": "sensorpipe",
        "app.kubernetes.io/instance": sensor,
        "app.kubernetes.io/component": "generator",
        "app.kubernetes.io/part-of": "sensorpipe",
        "app.kubernetes.io/managed-by": MANAGER,
        SENSOR_LABEL: sensor,
    }


def match_labels(sensor: str) -> dict[str, str]:
    """Return the few of them that find the Sensor's pods, and never change."""
    return {"app.kubernetes.io/managed-by": MANAGER, SENSOR_LABEL: sensor}


def selector(sensor: str) -> str:
    """Return the same as text, for `status.selector`."""
    return ",".join(f"{name}={value}" for name, value in match_labels(sensor).items())


def key_of(sensor: Body) -> Key:
    """Return a Sensor's key."""
    metadata = sensor["metadata"]
    return metadata["namespace"], metadata["name"]


def owner_of(child: Body) -> Key | None:
    """Return the key of the Sensor that a child's labels name."""
    metadata = child["metadata"]
    name = metadata.get("labels", {}).get(SENSOR_LABEL)
    return (metadata["namespace"], name) if name else None


def deployment_name(sensor: str, share: int) -> str:
    """Return the name of a share's Deployment; no other Sensor's, since theirs have no dots."""
    return f"{sensor}.{share}" if share else sensor
