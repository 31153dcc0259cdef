"""Devices of a release: with TLS and a user, while the certificate and a password are changed."""

import json
import ssl
import subprocess
import time
from collections.abc import Iterator

import pytest
from cluster_client import Cluster
from sensorpipe_schema.sensor import API_VERSION
from support.chart import broker as chart_broker
from support.chart.release import NAME, Release, flows
from support.chart.release_site import uninstalled
from support.kube import restricted_pod
from support.strimzi import certificates
from support.waiting import until

DEVICES = f"{NAME}-mosquitto-devices"
VALUES = (
    "--set=mosquitto.devices.tls.secretName=broker-tls",
    "--set=mosquitto.devices.users[0].username=meter-1",
    "--set=mosquitto.devices.users[0].secretName=meter-1",
    "--set=mosquitto.devices.passwordFile.secretName=yard",
    "--set=networkPolicy.devicesFrom[0].podSelector.matchLabels.device=yes",
)
METER = {
    "apiVersion": API_VERSION,
    "kind": "Sensor",
    "metadata": {"name": "meter-1"},
    "spec": {
        "facility": "meter-1",
        "count": 20,
        "interval": "100ms",
        "measurements": [{"name": "level", "signal": {"normal": {"mean": 1, "stdev": 1}}}],
    },
}


class Site:
    """A release with devices, and the authority of its broker's certificate."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.authority = certificates.authority("devices")

    def certify(self) -> str:
        """Write another certificate into the broker's Secret; return it."""
        names = ["localhost", DEVICES, f"{DEVICES}.{self.release.namespace}.svc"]
        certificate, key = certificates.signed(*self.authority, names)
        self.secret(
            "broker-tls", {"tls.crt": certificate, "tls.key": key, "ca.crt": self.authority[0]}
        )
        return certificate

    def secret(self, name: str, data: dict[str, str]) -> None:
        """Create or replace a Secret."""
        kind = "kubernetes.io/tls" if "tls.key" in data else "Opaque"
        made = {"apiVersion": "v1", "kind": "Secret", "type": kind, "stringData": data}
        self.release.cluster.apply(
            made | {"metadata": {"name": name}}, namespace=self.release.namespace
        )

    def broker_log(self) -> str:
        """Return what the broker has said since its container was started."""
        return self.release.kubectl("logs", f"{NAME}-mosquitto-0", "-c", "mosquitto")


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> Iterator[Site]:
    """The chart, with Strimzi or who plays its part, and a device that publishes with TLS."""
    with uninstalled(cluster) as release:
        made = Site(release)
        made.certify()
        made.secret("meter-1", {"password": "first"})
        made.secret("yard", {"passwords": "yard-1:plain\n"})
        made.release.install(*VALUES)
        yield made


@pytest.fixture(scope="module")
def meter(site: Site) -> Site:
    """The site with a pod that publishes 200 readings a second as the user meter-1."""
    url = f"mqtts://meter-1:first@{DEVICES}:8883"
    site.secret("meter", {"url": url, "ca.crt": site.authority[0], "sensor": json.dumps(METER)})
    script = (
        "SENSORPIPE_MQTT_URL_FILE=/meter/url SENSORPIPE_MQTT_CA_FILE=/meter/ca.crt "
        "SENSORPIPE_SENSOR=/meter/sensor exec sensorpipe-generator"
    )
    image = site.release.cluster.load_image("generator")
    pod = restricted_pod.pod(
        "meter", image, script, {"/meter": {"secret": {"secretName": "meter"}}}
    )
    pod["metadata"]["labels"] = {"device": "yes"}
    pod["spec"]["terminationGracePeriodSeconds"] = 60
    site.release.cluster.apply(pod, namespace=site.release.namespace)
    site.release.wait_facilities("meter-1")
    return site


def publish(site: Site, user: str, password: str, topic: str) -> str:
    """Publish a reading with mosquitto_pub and TLS; return what it reports as an error."""
    chart_broker.need("mosquitto_pub")
    certificates_file = site.release.cluster.kubeconfig.with_name("devices.crt")
    certificates_file.write_text(site.authority[0])
    login = ["-h", "localhost", "--cafile", str(certificates_file), "-u", user, "-P", password]
    payload = json.dumps({"ts": int(time.time() * 1000), "val": 1})
    reading = ["-V", "5", "-q", "1", "-t", topic, "-m", payload]
    target = f"service/{DEVICES}"
    with site.release.cluster.port_forward(target, 8883, site.release.namespace) as port:
        command = ["mosquitto_pub", "-p", str(port), *login, *reading]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


def shown(site: Site) -> str:
    """Return the certificate that the broker shows."""
    target = f"service/{DEVICES}"
    with site.release.cluster.port_forward(target, 8883, site.release.namespace) as port:
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=30)


def test_a_device_publishes_what_is_its_own_and_no_more(site: Site):
    assert publish(site, "meter-1", "first", "sensor_readings/meter-1/level") == ""
    assert publish(site, "yard-1", "plain", "sensor_readings/yard-1/rain") == ""
    said = publish(site, "yard-1", "plain", "sensor_readings/meter-1/level")
    assert "Not authorized" in said
    assert "not authori" in publish(site, "yard-1", "first", "sensor_readings/yard-1/rain").lower()


def test_certificate_and_users_change_and_nothing_is_lost(meter: Site):
    release = meter.release
    (before,) = release.get("pods", "-l", "app.kubernetes.io/component=mosquitto")["items"]
    renewed = meter.certify()
    meter.secret("yard", {"passwords": "yard-2:other\n"})
    until(lambda: "restarting the broker" in meter.broker_log(), seconds=240)
    flows(release, "meter-1")
    assert shown(meter).strip() == renewed.strip()
    assert publish(meter, "yard-2", "other", "sensor_readings/yard-2/rain") == ""
    (after,) = release.get("pods", "-l", "app.kubernetes.io/component=mosquitto")["items"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert [status["restartCount"] for status in after["status"]["containerStatuses"]] == [0]

    release.kubectl("delete", "pod", "meter", "--wait")
    assert "lost 0, duplicates 0" in release.verify()
