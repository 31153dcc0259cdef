"""Values that fit the schema but not one another: refused, with a sentence that helps."""

import re

import pytest
from support.chart.render import RefusedError, render


def problems(*sets: str) -> str:
    with pytest.raises(RefusedError) as refused:
        render(*sets)
    return str(refused.value)


def test_all_that_does_not_fit_together_is_said_at_once():
    said = problems("mosquitto.enabled=false,kafka.enabled=false,mongodb.enabled=false")

    for name in (
        "mosquitto.external.compactorSecret",
        "mosquitto.external.generatorSecret",
        "kafka.external.bootstrap",
        "kafka.external.compactorSecret",
        "kafka.external.serverSecret",
        "mongodb.external.secret",
    ):
        assert f"- {name}: " in said


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("kafka.replicationFactor=3", "kafka.replicationFactor: 3 replicas need as many brokers"),
        ("kafka.minInsyncReplicas=2", "kafka.minInsyncReplicas: 2 is greater than"),
        (
            "kafka.external.bootstrap=k:9092",
            "kafka.external: is only used with kafka.enabled=false",
        ),
        ("mongodb.external.secret=s", "mongodb.external: is only used with mongodb.enabled=false"),
        (
            "mosquitto.external.generatorSecret=s",
            "mosquitto.external: is only used with mosquitto.enabled=false",
        ),
        (
            "mongodb.enabled=false,mongodb.external.secret=s,mongodb.existingSecret=t",
            "mongodb.existingSecret: is only used with mongodb.enabled=true",
        ),
        (
            "server.autoscaling.by=cpu,server.autoscaling.minReplicas=4",
            "server.autoscaling.minReplicas: 4 is greater than",
        ),
        ("server.retention.windows=7d", "server.retention.windows: 7d is less than 8d"),
        (
            "server.retention.windows=1y",
            "server.retention.5m: 180d is less than server.retention.windows, 1y",
        ),
        (
            "server.retention.1h=forever,server.retention.1d=99y",
            "server.retention.1d: 99y is less than server.retention.1h, forever",
        ),
        (
            "sensors.clusterWide=true,sensors.namespaces={north}",
            "sensors.namespaces: sensors.clusterWide",
        ),
        ("mongodb.database=Admin", "mongodb.database: `Admin` is MongoDB's own"),
        (
            "mosquitto.enabled=false,networkPolicy.brokerFrom[0].ipBlock.cidr=10.0.0.0/8",
            "networkPolicy.brokerFrom: is only used with mosquitto.enabled=true",
        ),
        (
            "mosquitto.devices.users[0].username=meter,mosquitto.devices.users[0].secretName=s",
            "mosquitto.devices.tls.secretName: is required with users for devices",
        ),
        (
            "mosquitto.devices.passwordFile.secretName=s",
            "mosquitto.devices.tls.secretName: is required with users for devices",
        ),
        ("mosquitto.devices.tls.secretName=s", "mosquitto.devices.users: no device can use"),
        ("mosquitto.deviceTopics={zigbee2mqtt/#}", "mosquitto.deviceTopics: no device may write"),
        (
            "networkPolicy.devicesFrom[0].ipBlock.cidr=10.0.0.0/8",
            "networkPolicy.devicesFrom: is only used with mosquitto.devices.tls.secretName",
        ),
        (
            "mosquitto.enabled=false,mosquitto.deviceTopics={zigbee2mqtt/#}",
            "mosquitto.devices: is only used with mosquitto.enabled=true",
        ),
    ],
)
def test_values_that_do_not_fit_together_are_refused(setting, said):
    assert said in problems(setting)


@pytest.mark.parametrize("name", ["generator", "compactor", "meter", "session"])
def test_a_username_that_is_taken_is_refused(name):
    users = [f"mosquitto.devices.users[{n}].secretName=s" for n in (0, 1)]
    names = [
        f"mosquitto.devices.users[{n}].username={who}" for n, who in enumerate(("meter", name))
    ]
    said = problems(
        *users, *names, "mosquitto.devices.tls.secretName=s", "compactor.clientId=session"
    )
    assert f"- mosquitto.devices.users: the username `{name}` is taken" in said


def test_a_name_that_no_service_can_have_is_refused():
    with pytest.raises(RefusedError, match=r"fullnameOverride: `2nd\.try-sensorpipe` is not a"):
        render(release="2nd.try")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("kafka.version=", "kafka.enabled: Strimzi's resources"),
        ("server.autoscaling.by=lag", "server.autoscaling.by: `lag` needs KEDA"),
        ("monitoring.rules.enabled=true", "monitoring: podMonitor, sensorMonitor and rules need"),
        ("monitoring.sensorMonitor.enabled=true", "monitoring: podMonitor, sensorMonitor and"),
    ],
)
def test_a_cluster_without_what_the_chart_builds_on_is_refused(setting, said):
    with pytest.raises(RefusedError, match=re.escape(said)):
        render(setting, more=("--api-versions", "v1/Pod"))


def test_a_cluster_with_strimzi_is_taken():
    known = ("--api-versions", "v1/Pod", "--api-versions", "kafka.strimzi.io/v1")

    assert render(more=known)
