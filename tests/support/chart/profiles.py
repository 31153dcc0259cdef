"""The ways to install the chart that its checks go through."""

from dataclasses import dataclass
from pathlib import Path

from support.chart.render import CHART


@dataclass(frozen=True, slots=True)
class Profile:
    """Values files, and `--set` arguments beside them."""

    files: tuple[Path, ...] = ()
    sets: tuple[str, ...] = ()


_DIGEST = f"sha256:{'0123456789abcdef' * 4}"

_WATCHED = (
    "monitoring.podMonitor.enabled=true",
    "monitoring.podMonitor.labels.release=prometheus",
    "monitoring.rules.enabled=true",
    "monitoring.rules.labels.release=prometheus",
    "monitoring.dashboard.enabled=true",
    "monitoring.sensorMonitor.enabled=true",
    "monitoring.sensorMonitor.tokenSecret.name=scraping",
    "monitoring.sensorDashboard.enabled=true",
    "server.corsOrigins={https://dash.example.com}",
)
_PLACED = (
    "image.registry=registry.example/team",
    "image.pullSecrets={mine,ours}",
    "priorityClassName=system-cluster-critical",
    r"nodeSelector.kubernetes\.io/os=linux",
    "tolerations[0].key=sensors",
    "tolerations[0].operator=Exists",
)
_PREFERRED = "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]"
_ADDED = (
    "global.imageRegistry=mirror.example:5000/hub",
    "global.imagePullSecrets[0].name=hub",
    "global.compatibility.openshift.adaptSecurityContext=force",
    "podLabels.team=water",
    r"podAnnotations.example\.com/scrape=yes",
    f"{_PREFERRED}.weight=1",
    f"{_PREFERRED}.podAffinityTerm.topologyKey=rack",
    f"{_PREFERRED}.podAffinityTerm.labelSelector.matchLabels.team=water",
    *(
        f"{part}.{setting}"
        for part in ("operator", "generator", "compactor", "server", "mosquitto", "mongodb")
        for setting in (
            f"podLabels.part={part}",
            "extraEnv[0].name=HTTPS_PROXY",
            "extraEnv[0].value=http://proxy:3128",
            "extraVolumes[0].name=extra",
            "extraVolumes[0].emptyDir.sizeLimit=1Mi",
            "extraVolumeMounts[0].name=extra",
            "extraVolumeMounts[0].mountPath=/extra",
            "serviceAccount.create=true",
            r"serviceAccount.annotations.example\.com/role=mine",
        )
    ),
    "kafka.podLabels.part=kafka",
    "extraObjects[0].apiVersion=v1",
    "extraObjects[0].kind=ConfigMap",
    "extraObjects[0].metadata.name=more",
)
_REACHED = (
    "networkPolicy.apiFrom[0].namespaceSelector.matchLabels.api=yes",
    "networkPolicy.brokerFrom[0].ipBlock.cidr=10.20.0.0/16",
    "server.service.type=NodePort",
    "mosquitto.service.type=LoadBalancer",
    r"mosquitto.service.annotations.lb\.example/internal=yes",
    "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.team=watch",
)

_DEVICES = (
    "mosquitto.devices.tls.secretName=broker-tls",
    "mosquitto.devices.users[0].username=meter-1",
    "mosquitto.devices.users[0].secretName=meter-1",
    "mosquitto.devices.users[1].username=zigbee",
    "mosquitto.devices.users[1].secretName=bridges",
    "mosquitto.devices.users[1].key=zigbee",
    "mosquitto.devices.users[1].topics={zigbee2mqtt/#}",
    "mosquitto.devices.passwordFile.secretName=yard",
    "mosquitto.deviceTopics={application/%u/#}",
    "mosquitto.devices.service.type=LoadBalancer",
    r"mosquitto.devices.service.annotations.lb\.example/internal=yes",
    "networkPolicy.devicesFrom[0].ipBlock.cidr=10.20.0.0/16",
)

PROFILES = {
    "defaults": Profile(),
    **{file.stem: Profile((file,)) for file in sorted(CHART.glob("profiles/*.yaml"))},
    "watched": Profile(sets=_WATCHED),
    "scaled by cpu": Profile(sets=("server.autoscaling.by=cpu",)),
    "scaled by lag": Profile(sets=("server.autoscaling.by=lag",)),
    "scaled by the lag of a foreign Kafka": Profile(
        (CHART / "profiles/external.yaml",), ("server.autoscaling.by=lag",)
    ),
    "a foreign Kafka without encryption": Profile(
        (CHART / "profiles/external.yaml",), ("kafka.external.security=PLAINTEXT",)
    ),
    "in the whole cluster": Profile(sets=("sensors.clusterWide=true",)),
    "in several namespaces": Profile(sets=("sensors.namespaces={plant-1,plant-2}",)),
    "by digest": Profile(
        sets=tuple(
            f"{part}.image.digest={_DIGEST}"
            for part in ("operator", "generator", "compactor", "server", "mosquitto", "mongodb")
        )
    ),
    "with Secrets there already": Profile(
        sets=("mosquitto.existingSecret=broker", "mongodb.existingSecret=database")
    ),
    "with devices of their own": Profile(sets=_DEVICES),
    "behind an Ingress": Profile(
        sets=(
            "server.ingress.enabled=true",
            "server.ingress.className=nginx",
            "server.ingress.hosts={sensors.example.com}",
            "server.ingress.tls[0].secretName=sensors-tls",
            "server.ingress.tls[0].hosts={sensors.example.com}",
        )
    ),
    "without the rest": Profile(
        sets=(
            "crds.enabled=false",
            "networkPolicy.enabled=false",
            "podDisruptionBudget.enabled=false",
        )
    ),
    "everything": Profile(
        (CHART / "profiles/production.yaml",),
        (
            *_WATCHED,
            *_PLACED,
            *_ADDED,
            *_REACHED,
            *_DEVICES,
            "server.autoscaling.by=lag",
            "kafka.version=4.3.1",
        ),
    ),
}
