"""The Sensor, `sensorpipe.dev/v1alpha1`: simulated devices of one facility and what they measure.

The tables below are the rules; the custom resource definition contains the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sensorpipe_schema.names import NAME_PATTERN, NAME_RULE
from sensorpipe_schema.shape import (
    Array,
    Boolean,
    Duration,
    Field,
    FieldProblem,
    Integer,
    Problems,
    Quantity,
    Record,
    StringMap,
    Text,
    quantity,
    shown,
)
from sensorpipe_schema.signal_spec import SIGNAL, Signal

API_VERSION: Final = "sensorpipe.dev/v1alpha1"
KIND: Final = "Sensor"
DEFAULT_NAMESPACE: Final = "default"


class SensorError(ValueError):
    """All problems of one Sensor, one per line."""

    def __init__(self, problems: Problems) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured quantity; its readings go to `sensor_readings/{facility}/{name}`."""

    name: str
    unit: str | None
    signal: Signal


@dataclass(frozen=True, slots=True)
class Metadata:
    """Standard metadata of a Kubernetes object."""

    name: str
    namespace: str | None
    labels: Mapping[str, str] | None
    annotations: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Amounts:
    """Amounts of compute resources, as Kubernetes quantities; None if not given."""

    cpu: str | int | None
    memory: str | int | None
    ephemeral_storage: str | int | None


@dataclass(frozen=True, slots=True)
class Resources:
    """Compute resources of one generator; None keeps the operator's default."""

    limits: Amounts | None
    requests: Amounts | None


@dataclass(frozen=True, slots=True)
class SensorSpec:
    """What is simulated: `count` devices, each of which sends all measurements every interval."""

    facility: str
    count: int
    interval_ms: int
    seed: int
    replicas: int
    suspend: bool
    resources: Resources | None
    measurements: tuple[Measurement, ...]

    @property
    def runs(self) -> bool:
        """Whether generators should run."""
        return not self.suspend and self.replicas > 0

    @property
    def readings_per_second(self) -> float:
        """Readings per second of all devices together."""
        return self.count * len(self.measurements) * 1000 / self.interval_ms


@dataclass(frozen=True, slots=True)
class Sensor:
    """A valid Sensor."""

    metadata: Metadata
    spec: SensorSpec

    @property
    def name(self) -> str:
        """The Sensor's `metadata.name`."""
        return self.metadata.name

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name, which no two Sensors share."""
        return self.metadata.namespace or DEFAULT_NAMESPACE, self.metadata.name

    @classmethod
    def parse(cls, manifest: object, *, strict: bool = True) -> "Sensor":
        """Read a manifest, or raise SensorError with all problems.

        With `strict`, an unknown field is an error, since it may be misspelt. Without it,
        unknown fields are ignored: in a cluster, the definition of Sensors may be newer. An
        unknown kind of signal is always an error.
        """
        problems = Problems(strict=strict)
        check_kind(manifest, KIND, problems)
        sensor = None if problems else _SENSOR.read(manifest, "", problems)
        if not isinstance(sensor, cls) or problems:
            raise SensorError(problems)
        _check_requests(sensor.spec.resources, problems)
        if problems:
            raise SensorError(problems)
        return sensor

    def to_manifest(self) -> dict[str, Any]:
        """Return the manifest with all defaults filled in; `parse` reads it back."""
        return {"apiVersion": API_VERSION, "kind": KIND, **_SENSOR.write(self)}


_DNS_LABEL: Final = Text(
    r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
    "1 to 63 lower-case letters, digits or '-', beginning and ending with a letter or digit",
)
_NAME: Final = Text(NAME_PATTERN, NAME_RULE)

_MEASUREMENT: Final = Record(
    Measurement,
    {
        "name": Field(_NAME, "The sensor's name in the topic and in the API."),
        "unit": Field(
            Text(r"[^\x00-\x1f\x7f]{1,32}", "1 to 32 printable characters"),
            "The unit of its values.",
            None,
        ),
        "signal": Field(SIGNAL, "How its values come about."),
    },
)

_AMOUNTS: Final = Record(
    Amounts,
    {
        "cpu": Field(Quantity(), "Cores.", None),
        "memory": Field(Quantity(), "Bytes.", None),
        "ephemeral-storage": Field(
            Quantity(), "Bytes of local disk.", None, attribute="ephemeral_storage"
        ),
    },
)
_RESOURCES: Final = Record(
    Resources,
    {
        "limits": Field(_AMOUNTS, "The most that one generator may use.", None),
        "requests": Field(_AMOUNTS, "What is kept free for one generator.", None),
    },
)

_SPEC: Final = Record(
    SensorSpec,
    {
        "facility": Field(_NAME, "The facility's name in the topic and in the API."),
        "count": Field(Integer(1, 100_000), "Devices; each sends every measurement.", 1),
        "interval": Field(
            Duration("10ms", "1h"), "Between two readings of a device.", attribute="interval_ms"
        ),
        "seed": Field(Integer(0, 2**53 - 1), "The same seed gives the same values.", 0),
        "replicas": Field(Integer(0, 100), "Generators that share the devices.", 1),
        "suspend": Field(Boolean(), "True stops the generators.", default=False),
        "resources": Field(_RESOURCES, "Compute resources of one generator.", None),
        "measurements": Field(
            Array(_MEASUREMENT, 1, 32, unique="name"), "What each device measures."
        ),
    },
)

METADATA: Final = Record(
    Metadata,
    {
        "name": Field(_DNS_LABEL, "Unique within the namespace."),
        "namespace": Field(_DNS_LABEL, "Where Kubernetes keeps it.", None),
        "labels": Field(StringMap(), "Labels.", None),
        "annotations": Field(StringMap(), "Annotations.", None),
    },
    # added by the API server: so that the output of `kubectl get -o yaml` can be read
    ignored=frozenset(
        (
            "creationTimestamp",
            "deletionGracePeriodSeconds",
            "deletionTimestamp",
            "finalizers",
            "generateName",
            "generation",
            "managedFields",
            "ownerReferences",
            "resourceVersion",
            "selfLink",
            "uid",
        )
    ),
)

_SENSOR: Final = Record(
    Sensor,
    {
        "metadata": Field(METADATA, "Standard object metadata."),
        "spec": Field(_SPEC, "What is simulated."),
    },
    ignored=frozenset(("apiVersion", "kind", "status")),
)


def check_kind(manifest: object, wanted: str, problems: Problems) -> None:
    """Report a manifest that is not of the kind `wanted`; its fields are then not checked."""
    rule = f"only kind: {wanted} of {API_VERSION} is taken"
    if not isinstance(manifest, dict):
        problems.append(FieldProblem("", f"{rule}; got {shown(manifest)}"))
    elif (manifest.get("apiVersion"), manifest.get("kind")) != (API_VERSION, wanted):
        kind, version = shown(manifest.get("kind")), shown(manifest.get("apiVersion"))
        problems.append(FieldProblem("", f"{rule}; got kind {kind} of apiVersion {version}"))


def _check_requests(resources: Resources | None, problems: Problems) -> None:
    """Report each request that exceeds its limit."""
    if resources is None or resources.limits is None or resources.requests is None:
        return
    for name in ("cpu", "memory", "ephemeral_storage"):
        asked, limit = getattr(resources.requests, name), getattr(resources.limits, name)
        if asked is None or limit is None or quantity.parse(asked) <= quantity.parse(limit):
            continue
        field = f"spec.resources.requests.{name.replace('_', '-')}"
        problems.append(FieldProblem(field, f"must not exceed the limit {limit}; got {asked}"))
