"""Each password is changed while readings flow, by the very commands of the chart's README."""

import os
import re
import subprocess
from base64 import b64decode
from collections.abc import Iterator

import chart_broker
import pytest
from chart_release import NAME, Release, chart_images, flows, rest
from chart_render import CHART
from cluster_client import Cluster
from operator_sensors import sensor
from services import ROOT
from strimzi_stand_in import strimzi

pytestmark = pytest.mark.cluster

SECTION = (CHART / "README.md").read_text().partition("\n## Passwords\n")[2].partition("\n## ")[0]
COMMANDS = dict(re.findall(r"\*\*([\w' ]+)\.\*\*.*?```sh\n(.*?)```", SECTION, re.DOTALL))
"""How each is changed."""

CHANGED = {
    "Broker": {
        "mosquitto/generator-password",
        "mosquitto/compactor-password",
        "mosquitto/compactor-url",
        "broker/url",
    },
    "Kafka": {"kafka-passwords/compactor-password", "kafka-passwords/server-password"},
    "MongoDB": {"mongodb/keyfile", "mongodb/server-password", "mongodb/uri"},
    "MongoDB's administrator": {"mongodb/admin-password"},
}
"""What is another afterwards, by Secret and key."""


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[Release]:
    """The chart, with Strimzi or who plays its part, and 200 readings a second."""
    cluster.kubectl("delete", "crd", "sensors.sensorpipe.dev", "--ignore-not-found", "--wait")
    images = chart_images(cluster)
    with cluster.namespace() as namespace, strimzi(cluster, namespace):
        made = Release(cluster, namespace, images)
        made.install()
        cluster.apply(
            sensor("load", facility="load", count=100, interval="500ms"), namespace=namespace
        )
        made.wait_facilities("load")
        yield made
        cluster.kubectl("delete", "crd", "sensors.sensorpipe.dev", "--wait", "--timeout=60s")
        made.uninstall()


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


def held(release: Release) -> dict[str, str]:
    """Return all that the release's Secrets hold, by Secret and key."""
    secrets = release.get("secrets", "-l", f"app.kubernetes.io/instance={NAME}")["items"]
    return {
        f"{secret['metadata']['name']}/{key}": value
        for secret in secrets
        for key, value in secret["data"].items()
    }


@pytest.fixture(scope="module")
def first(release: Release) -> dict[str, str]:
    """What the Secrets held at first."""
    return held(release)


def test_the_readme_has_commands_for_each() -> None:
    assert set(COMMANDS) == set(CHANGED)


@pytest.mark.parametrize("what", CHANGED)
def test_readings_flow_with_new_passwords_and_the_others_are_kept(
    release: Release, first: dict[str, str], what: str
) -> None:
    del first
    before = held(release)
    type_in(release, COMMANDS[what])
    after = held(release)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {f"{NAME}-{name}" for name in CHANGED[what]}
    flows(release, "load")


def test_the_first_password_opens_nothing(release: Release, first: dict[str, str]) -> None:
    old = b64decode(first[f"{NAME}-mosquitto/generator-password"]).decode()
    publish = ["-t", "sensor_readings/load/old", "-m", "1", "-u", "generator", "-P", old]
    assert "not authori" in chart_broker.attempt(release, "mosquitto_pub", *publish).lower()


def test_after_all_that_nothing_is_lost_and_nothing_doubled(release: Release) -> None:
    rest(release)
    assert "lost 0, duplicates 0" in release.verify()
