"""What the chart's README has one type, typed while readings flow, and nothing is lost by it."""

import os
import re
import subprocess
from base64 import b64decode
from collections.abc import Iterator

import pytest
from cluster_client import Cluster
from support.chart import broker as chart_broker
from support.chart.release import NAME, Release, flows, rest
from support.chart.release_site import uninstalled
from support.chart.render import CHART
from support.kube.operator_sensors import sensor
from support.services import ROOT

README = (CHART / "README.md").read_text()
CHANGED = {
    "Kafka": {"kafka-passwords/compactor-password", "kafka-passwords/server-password"},
    "MongoDB": {"mongodb/keyfile", "mongodb/server-password", "mongodb/uri"},
    "Broker": {
        "mosquitto/generator-password",
        "mosquitto/compactor-password",
        "mosquitto/compactor-url",
        "broker/url",
    },
    "MongoDB's administrator": {"mongodb/admin-password"},
}
"""By whose passwords are changed: what is another then, by Secret and key."""

KINDS = (
    "kafka,kafkanodepool,kafkauser,secret,service,statefulset,deployment,networkpolicy,"
    "job,serviceaccount,role,rolebinding"
)


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(text: str) -> list[str]:
    """Return the commands in a text."""
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


PASSWORDS = dict(
    re.findall(r"\*\*([\w' ]+)\.\*\*.*?```sh\n(.*?)```", section("Passwords"), re.DOTALL)
)
_INSTALL, UPGRADE, RAISE, UNINSTALL, REMOVE = blocks(
    section("Install, upgrade, go back, uninstall")
)
(DEVICE,) = blocks(section("Devices outside"))
(QUICK_START,) = blocks((ROOT / "README.md").read_text())


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[Release]:
    """The chart, with Strimzi or who plays its part, and 200 readings a second."""
    with uninstalled(cluster) as made:
        made.install()
        cluster.apply(sensor("load", count=100), namespace=made.namespace)
        made.wait_facilities("load")
        yield made


@pytest.fixture(scope="module")
def first(release: Release) -> dict[str, str]:
    """What the Secrets held at first."""
    return held(release)


def type_in(release: Release, commands: str) -> None:
    """Have a shell do what a user would type."""
    programs = release.cluster.programs
    path = os.environ["PATH"] if programs is None else f"{programs}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-euc", commands.replace(f"--namespace {NAME}", f"--namespace {release.namespace}")],
        env=release.cluster.environ | {"PATH": path},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def at_once(*commands: str) -> str:
    """Return the commands with one upgrade for all, which is quicker and no easier to bear."""
    *others, last = commands
    return "".join(re.sub("(?m)^helm upgrade .*\n", "", one) for one in others) + last


def held(release: Release) -> dict[str, str]:
    """Return all that the release's Secrets hold, by Secret and key."""
    secrets = release.get("secrets", "-l", f"app.kubernetes.io/instance={NAME}")["items"]
    return {
        f"{secret['metadata']['name']}/{key}": value
        for secret in secrets
        for key, value in secret["data"].items()
    }


def test_an_upgrade_and_the_way_back_change_nothing(release: Release, first: dict[str, str]):
    pods = {pod["metadata"]["uid"] for pod in release.get("pods")["items"]}
    type_in(release, UPGRADE)
    assert held(release) == first
    assert {pod["metadata"]["uid"] for pod in release.get("pods")["items"]} == pods


def test_the_quick_start_ends_with_nothing_lost(release: Release):
    _, _, install, *then = QUICK_START.splitlines()
    assert install.startswith("helm install sensorpipe charts/sensorpipe ")
    type_in(release, "\n".join(then).replace(f"-n {NAME}", f"-n {release.namespace}"))


def test_the_readme_says_of_each_password_how_it_is_changed():
    assert set(PASSWORDS) == set(CHANGED)


@pytest.mark.parametrize(
    "which", [("Kafka", "MongoDB", "Broker"), ("MongoDB's administrator",)], ids=" and ".join
)
def test_readings_flow_with_new_passwords_and_the_others_are_kept(
    release: Release, first: dict[str, str], which: tuple[str, ...]
):
    del first
    before = held(release)
    type_in(release, at_once(*(PASSWORDS[one] for one in which)))
    after = held(release)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {f"{NAME}-{name}" for one in which for name in CHANGED[one]}
    flows(release, "load")


def test_the_first_password_opens_nothing(release: Release, first: dict[str, str]):
    old = b64decode(first[f"{NAME}-mosquitto/generator-password"]).decode()
    publish = ["-t", "sensor_readings/load/old", "-m", "1", "-u", "generator", "-P", old]
    assert "not authori" in chart_broker.attempt(release, "mosquitto_pub", *publish).lower()


def test_a_device_publishes_beside_the_generators(release: Release):
    chart_broker.need("mosquitto_pub")
    with release.cluster.port_forward(f"service/{NAME}-mosquitto", 1883, release.namespace) as port:
        type_in(release, DEVICE.replace("-h HOST", f"-h 127.0.0.1 -p {port}"))
    release.wait_facilities("hall_2")


def test_partitions_and_servers_are_raised_while_readings_flow(release: Release):
    type_in(release, RAISE.replace("server.replicas=6", "server.replicas=2"))
    release.kubectl("rollout", "status", f"deployment/{NAME}-server", "--timeout=180s")


def test_after_all_that_nothing_is_lost_or_duplicate(release: Release):
    rest(release)
    assert "lost 0, duplicates 0" in release.verify()


def test_nothing_is_left_once_all_is_removed(release: Release):
    type_in(release, UNINSTALL + REMOVE)
    release.kubectl("wait", "--for=delete", "pods", "--all", "--timeout=120s")
    assert release.get(KINDS, "-l", f"app.kubernetes.io/instance={NAME}")["items"] == []
    assert release.get("persistentvolumeclaims,kafkatopics")["items"] == []
