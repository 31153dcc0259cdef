"""What an administrator adds to every generator pod: `SENSORPIPE_GENERATOR_POD`."""

import re
from collections.abc import Callable
from typing import Any, Final, Literal, Self

import msgspec

_is_label: Final = re.compile(
    r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?",
    re.ASCII,
).fullmatch
_is_label_value: Final = re.compile(
    r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", re.ASCII
).fullmatch
_is_own: Final = re.compile(
    r"sensorpipe\.dev/.*|app\.kubernetes\.io/(name|instance|component|part-of|managed-by)"
).fullmatch
OWN_VARIABLES: Final = frozenset(
    f"SENSORPIPE_{name}"
    for name in ("SENSOR", "SHARE", "HTTP", "DRAIN", "LOG_LEVEL", "MQTT_CA_FILE", "MQTT_URL")
)
"""Variables of the container that the operator sets itself."""
OWN_VOLUMES: Final = frozenset({"sensor", "broker"})
"""Volumes of the pod that the operator sets itself."""
OWN_FOLDER: Final = "/etc/sensorpipe"
"""Where it mounts them."""


class _Item(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """An item of a list, with the names of its fields as in a pod."""


class Variable(_Item, frozen=True, rename="camel"):
    """A variable of a container: its value, or where that comes from."""

    name: str
    value: str | None = None
    value_from: dict[str, Any] | None = None


class Toleration(_Item, frozen=True, rename="camel"):
    """A taint of nodes that does not matter."""

    key: str | None = None
    operator: Literal["Exists", "Equal", "Lt", "Gt"] | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class Mount(_Item, frozen=True, rename="camel"):
    """Where a container has a volume."""

    name: str
    mount_path: str
    sub_path: str | None = None
    sub_path_expr: str | None = None
    read_only: bool | None = None
    recursive_read_only: str | None = None
    mount_propagation: str | None = None


class Affinity(_Item, frozen=True, rename="camel"):
    """Rules for nodes, each as in a pod; the API server checks what is in them."""

    node_affinity: dict[str, Any] | None = None
    pod_affinity: dict[str, Any] | None = None
    pod_anti_affinity: dict[str, Any] | None = None


class GeneratorPod(_Item, frozen=True, rename="camel", kw_only=True):
    """What every generator pod has besides what its Sensor needs."""

    pod_labels: dict[str, str] = {}
    pod_annotations: dict[str, str] = {}
    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    affinity: Affinity = Affinity()
    priority_class_name: str = ""
    service_account_name: str = ""
    """Empty for the default account of the namespace."""
    extra_env: tuple[Variable, ...] = ()
    extra_volumes: tuple[dict[str, Any], ...] = ()
    extra_volume_mounts: tuple[Mount, ...] = ()
    fixed_user: bool = True
    """Whether the operator chooses the user; if not, the platform must, as OpenShift does."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what a JSON object says; raises ValueError that names the field."""
        try:
            pod = msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise ValueError(f"must be a JSON object with what to add to pods: {error}") from error
        for problem in _problems(pod):
            raise ValueError(f"must be what pods can have: {problem}")
        return pod

    @property
    def placement(self) -> dict[str, Any]:
        """The fields of the pod's spec that say where it runs, and as what."""
        names = {
            "nodeSelector": self.node_selector,
            "tolerations": msgspec.to_builtins(list(self.tolerations)),
            "affinity": msgspec.to_builtins(self.affinity),
            "priorityClassName": self.priority_class_name,
            "serviceAccountName": self.service_account_name,
        }
        return {name: value for name, value in names.items() if value}


def _problems(pod: GeneratorPod) -> list[str]:
    volumes: list[Any] = [volume.get("name") for volume in pod.extra_volumes]
    paths: list[Any] = [mount.mount_path for mount in pod.extra_volume_mounts]
    variables: list[Any] = [variable.name for variable in pod.extra_env]
    return [
        *_wrong("podLabels", [*pod.pod_labels], _takes_key),
        *_wrong("podLabels", [*pod.pod_labels.values()], _is_label_value),
        *_wrong("podAnnotations", [*pod.pod_annotations], _takes_key),
        *_wrong("nodeSelector", [*pod.node_selector], _is_label),
        *_wrong("nodeSelector", [*pod.node_selector.values()], _is_label_value),
        *_wrong("extraEnv", variables, lambda name: bool(name) and name not in OWN_VARIABLES),
        *_wrong("extraVolumes", volumes, lambda name: bool(name) and name not in OWN_VOLUMES),
        *_wrong("extraVolumeMounts", paths, _takes_path),
        *_wrong(
            "extraVolumeMounts",
            [mount.name for mount in pod.extra_volume_mounts],
            lambda name: name in volumes,
        ),
        *(
            f"{field}: {name!r} is there twice"
            for field, names in (
                ("extraEnv", variables),
                ("extraVolumes", volumes),
                ("extraVolumeMounts", paths),
            )
            for name in names
            if names.count(name) > 1
        ),
    ]


def _wrong(field: str, found: list[Any], takes: Callable[[Any], object]) -> list[str]:
    return [f"{field}: {one!r} is not possible" for one in found if not takes(one)]


def _takes_key(key: str) -> bool:
    return bool(_is_label(key)) and not _is_own(key)


def _takes_path(path: str) -> bool:
    return path.startswith("/") and not f"{path}/".startswith(f"{OWN_FOLDER}/")
