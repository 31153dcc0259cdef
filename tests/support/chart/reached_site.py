"""A release with all that the README's table of who reaches whom names, and strangers around it."""

from collections.abc import Collection, Mapping, Sequence

from sensorpipe_operator import names
from support.chart import reached
from support.chart.release import NAME, Release
from support.kube import connects
from support.kube.connects import Pod, Target
from support.kube.operator_sensors import sensor
from support.strimzi import certificates

_PEERS = {name: {"peer": name} for name in ("apiFrom", "brokerFrom", "devicesFrom", "metricsFrom")}
"""The labels of the pods that the values let in, by value."""

_VALUES = (
    "mosquitto.devices.tls.secretName=broker-tls",
    "mosquitto.devices.users[0].username=hub",
    "mosquitto.devices.users[0].secretName=hub",
    *(f"networkPolicy.{name}[0].podSelector.matchLabels.peer={name}" for name in _PEERS),
)
_WATCHED = (
    r"networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.kubernetes\.io/metadata\.name"
)

_COMPONENT = "app.kubernetes.io/component"
_CHOSEN = {
    "operator": f"{_COMPONENT}=operator",
    "compactor": f"{_COMPONENT}=compactor",
    "server": f"{_COMPONENT}=server",
    "generators": f"{_COMPONENT}=generator",
    "Mosquitto": f"{_COMPONENT}=mosquitto",
    "MongoDB": f"{_COMPONENT}=mongodb",
    "Kafka": "strimzi.io/broker-role=true",
}
"""How the pods of the release are found, by what the table calls them."""

_CONTAINERS = {"Mosquitto": "mosquitto", "MongoDB": "mongodb", "Kafka": "kafka"}
"""The containers to try from where there are several; official images of these have no Python."""

_ELSEWHERE = "generators elsewhere"


class Site:
    """The release, with Sensors in a second namespace and strangers in a third."""

    def __init__(self, release: Release, sensors: str, elsewhere: str) -> None:
        self.release = release
        self.roles: dict[str, str] = {name: name for name in _CHOSEN}
        """What the table calls each source; strangers it does not know."""
        self._cluster = release.cluster
        self._sensors = sensors
        self._elsewhere = elsewhere
        self._visitors: dict[str, Pod] = {}
        self.roles[_ELSEWHERE] = "generators"

    @property
    def values(self) -> tuple[str, ...]:
        """Return the release's values, as arguments of helm."""
        mine = (f"sensors.namespaces={{{self._sensors}}}", f"{_WATCHED}={self._elsewhere}")
        return tuple(f"--set={one}" for one in (*_VALUES, *mine))

    def install(self) -> None:
        """Install the chart, and a Sensor in each of the two namespaces."""
        certificate, key = certificates.signed(*certificates.authority("devices"), ["localhost"])
        self._secret("broker-tls", {"tls.crt": certificate, "tls.key": key}, "kubernetes.io/tls")
        self._secret("hub", {"password": "secret"})
        self.release.install(*self.values)
        for namespace in (self.release.namespace, self._sensors):
            self._cluster.apply(sensor("load"), namespace=namespace)
            ready = ("wait", "--for=condition=Ready", "sensor/load", "--timeout=120s")
            self._cluster.kubectl("-n", namespace, *ready)

    def visit(self) -> None:
        """Start the peers that the values name, and strangers, some of whom look like others."""
        here, elsewhere = self.release.namespace, self._elsewhere
        self._run(here, "anybody", {})
        self._run(here, "helm test", self._labels("test"))
        for name in ("apiFrom", "brokerFrom", "devicesFrom"):
            self._run(here, f"networkPolicy.{name}", _PEERS[name])
        self._run(elsewhere, "networkPolicy.metricsFrom", _PEERS["metricsFrom"])
        self._run(elsewhere, "anybody elsewhere", {})
        # labels let in together with the namespace only
        self._run(here, "like metricsFrom", _PEERS["metricsFrom"])
        self._run(elsewhere, "like apiFrom", _PEERS["apiFrom"])
        self._run(elsewhere, "like the server", self._labels("server"))
        self._run(elsewhere, "like the compactor", self._labels("compactor"))
        self._run(elsewhere, "like a generator", names.labels("load"))
        for pod in self._visitors.values():
            ready = ("wait", "--for=condition=Ready", f"pod/{pod.name}", "--timeout=120s")
            self._cluster.kubectl("-n", pod.namespace, *ready)

    def sources(self) -> Mapping[str, Pod]:
        """Return the pods to try from, by name."""
        official = bool(self._cluster.images)
        found = {
            role: self._pod(self.release.namespace, chosen, _CONTAINERS.get(role, ""))
            for role, chosen in _CHOSEN.items()
            if not (official and role in _CONTAINERS)
        }
        found[_ELSEWHERE] = self._pod(self._sensors, _CHOSEN["generators"])
        return found | self._visitors

    def targets(self) -> Sequence[Target]:
        """Return what to try, under the names of the table, with each of our pods' metrics."""
        pods = {role: self._pod(self.release.namespace, one) for role, one in _CHOSEN.items()}
        pods["anybody"] = self._visitors["anybody"]
        wanted = {*reached.REACHED, *reached.MEASURED, "anybody, 8080"} - {"metrics, 9090"}
        found = connects.services(self._cluster)
        for name in sorted(wanted):
            role, _, port = name.partition(", ")
            found.append(Target(name, connects.address(self._cluster, pods[role]), int(port)))
        return found

    def reached(self, pod: Pod, targets: Sequence[Target], expected: Collection[str]) -> set[str]:
        """Return the names of the targets that a pod reaches."""
        return connects.reached(self._cluster, pod, targets, expected)

    def _run(self, namespace: str, name: str, labels: Mapping[str, str]) -> None:
        image = self._cluster.load_image("generator")
        pod = Pod(namespace, name.replace(" ", "-").replace(".", "-").lower())
        listener = connects.listener(pod.name, image, labels)
        self._cluster.apply(listener, namespace=namespace)
        self._visitors[name] = pod
        self.roles[name] = name

    def _labels(self, component: str) -> dict[str, str]:
        name, instance = (f"app.kubernetes.io/{key}" for key in ("name", "instance"))
        return {name: "sensorpipe", instance: NAME, _COMPONENT: component}

    def _pod(self, namespace: str, chosen: str, container: str = "") -> Pod:
        shown = ("-l", chosen, "--field-selector=status.phase=Running", "-o", "name")
        (name,) = self._cluster.kubectl("-n", namespace, "get", "pods", *shown).split()
        return Pod(namespace, name.removeprefix("pod/"), container)

    def _secret(self, name: str, data: dict[str, str], kind: str = "Opaque") -> None:
        made = {"apiVersion": "v1", "kind": "Secret", "type": kind, "stringData": data}
        made |= {"metadata": {"name": name}}
        self._cluster.apply(made, namespace=self.release.namespace)
