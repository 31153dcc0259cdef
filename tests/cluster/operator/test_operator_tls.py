"""Generators reach a broker over TLS by the authority and the password that their Secret holds."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_client import Cluster
from support.kube import broker_pod, operator_process
from support.kube.operator_process import Namespace, Operator, frozen
from support.kube.operator_sensors import sensor
from support.received_readings import receiving
from support.services import MOSQUITTO_TUNED
from support.waiting import eventually

pytest_plugins = ["support.kube.operator_fixtures"]

PLAIN = 1884
USER, PASSWORD = "generator", "p@ss/word"
CONFIG = f"""\
per_listener_settings true
listener 1883 0.0.0.0
certfile /etc/mosquitto/tls.crt
keyfile /etc/mosquitto/tls.key
password_file /etc/mosquitto/passwords
listener {PLAIN} 127.0.0.1
allow_anonymous true
{MOSQUITTO_TUNED}"""


@pytest.fixture
def authority(cluster: Cluster, namespace: Namespace, tmp_path: Path) -> str:
    """What signed the certificate of a Mosquitto pod, which takes passwords over TLS only."""
    host = f"mosquitto.{namespace.name}.svc.cluster.local"
    certify(tmp_path, host)
    names = ("tls.crt", "tls.key", "passwords")
    files = {name: (tmp_path / name).read_text() for name in names}
    broker_pod.start(cluster, namespace.name)
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "mosquitto"},
            "data": {"mosquitto.conf": CONFIG, **files},
        }
    )
    namespace.kubectl("rollout", "restart", "deployment/mosquitto")
    namespace.kubectl("rollout", "status", "deployment/mosquitto", "--timeout=60s")
    return files["tls.crt"]


def certify(folder: Path, host: str) -> None:
    """Make a certificate that is its own authority, and a file of passwords."""
    for program, package in (("openssl", "openssl"), ("mosquitto_passwd", "mosquitto")):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here; `apt-get install {package}` brings it")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=broker"]
    command += ["-addext", f"subjectAltName=DNS:{host}", "-keyout", "tls.key", "-out", "tls.crt"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    (folder / "passwords").touch()
    command = ["mosquitto_passwd", "-b", "passwords", USER, PASSWORD]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)


def secret(namespace: Namespace, **files: str) -> dict[str, object]:
    url = f"mqtts://{USER}:p%40ss%2Fword@mosquitto.{namespace.name}.svc.cluster.local:1883"
    made = broker_pod.secret(namespace.name)
    return {**made, "stringData": {"url": url, **files}}


@pytest.fixture
def knowing(
    cluster: Cluster, config_file: Path, tmp_path: Path, namespace: Namespace, operator: Operator
) -> Iterator[Operator]:
    """An operator that was told which key of the Secret holds the authority."""
    settings = {"WATCH_NAMESPACES": namespace.name, "BROKER_CA_KEY": "ca.crt"}
    settings["GENERATOR_IMAGE"] = cluster.load_image("generator")
    run = operator_process.running(cluster, tmp_path, config_file, **settings)
    with frozen(operator), run as made:
        yield made


async def test_a_broker_with_an_authority_of_ones_own(
    cluster: Cluster, namespace: Namespace, authority: str, knowing: Operator
) -> None:
    namespace.apply(secret(namespace))
    assert knowing.process.poll() is None
    namespace.apply(sensor("boiler"))
    namespace.wait_reason("boiler", "Crashing")
    assert "SENSORPIPE_MQTT_CA_FILE" in namespace.condition("boiler")["message"]
    namespace.apply(secret(namespace, **{"ca.crt": authority}))
    namespace.kubectl("delete", "pods", "-l", "sensorpipe.dev/sensor=boiler", "--wait=false")
    with cluster.port_forward("deployment/mosquitto", PLAIN, namespace.name) as port:
        async with receiving(port, "test") as received:
            await eventually(lambda: sum(map(len, received.of("boiler").values())) >= 5)
            assert received.faults("boiler") == []
    namespace.kubectl("wait", "--for=condition=Ready", "sensor/boiler", "--timeout=60s")
    namespace.kubectl("delete", "sensor/boiler")
