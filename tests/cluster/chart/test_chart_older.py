"""A release of a chart that had the passwords in its manifest, upgraded and installed again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_client import Cluster
from support.chart.older import older
from support.chart.release import (
    NAME,
    Release,
    flows,
    rest,
    resume,
    windows,
)
from support.chart.release_site import uninstalled
from support.kube.operator_sensors import sensor

BROKER = {"generator-password": "g1", "compactor-password": "c1", "compactor-client-id": "session1"}
KAFKA = {"compactor-password": "kc1" + "x" * 29, "server-password": "ks1" + "x" * 29}
DATABASE = {"keyfile": "k" * 32, "admin-password": "a1", "server-password": "s1"}


def former(namespace: str) -> dict[str, dict[str, str]]:
    """Return the Secrets of the older chart."""
    broker = f"{NAME}-mosquitto.{namespace}.svc:1883"
    database = f"{NAME}-mongodb-0.{NAME}-mongodb.{namespace}.svc:27017"
    return {
        "mosquitto": {**BROKER, "compactor-url": f"mqtt://compactor:c1@{broker}"},
        "broker": {"url": f"mqtt://generator:g1@{broker}"},
        "kafka-passwords": KAFKA,
        "mongodb": {**DATABASE, "uri": f"mongodb://server:s1@{database}/sensorpipe?replicaSet=rs0"},
    }


@pytest.fixture(scope="module")
def release(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """The older chart's release, while readings flow."""
    with uninstalled(cluster) as made:
        chart = older(tmp_path_factory.mktemp("older"), former(made.namespace))
        install(made, chart)
        cluster.apply(sensor("load", count=10), namespace=made.namespace)
        made.wait_facilities("load")
        yield made


def install(release: Release, chart: Path) -> None:
    images = [f"--set={one}" for one in release.images]
    common = ("-n", release.namespace, "--wait", "--timeout=5m")
    release.cluster.helm("install", NAME, str(chart), *common, *images, timeout=330)


def held(release: Release) -> dict[str, tuple[str, dict[str, str]]]:
    """Return of the Secrets with passwords the uid and what they hold."""
    names = [f"{NAME}-{part}" for part in former(release.namespace)]
    found = release.get("secrets", *names)["items"]
    return {one["metadata"]["name"]: (one["metadata"]["uid"], one["data"]) for one in found}


def manifest(release: Release) -> str:
    return release.cluster.helm("get", "manifest", NAME, "-n", release.namespace)


def test_an_upgrade_keeps_secrets_that_are_no_longer_in_the_manifest(release: Release):
    before = held(release)
    assert "\nkind: Secret\n" in manifest(release)
    release.upgrade()
    assert held(release) == before
    assert "\nkind: Secret\n" not in manifest(release)
    flows(release, "load")


def test_a_dry_run_changes_nothing_and_leaves_nothing(release: Release):
    before = held(release)
    release.upgrade("--dry-run=server")
    assert held(release) == before
    chosen = ("-l", "app.kubernetes.io/component=passwords")
    left = release.get("jobs,pods,serviceaccounts,roles,rolebindings,networkpolicies", *chosen)
    assert left["items"] == []


def test_what_is_installed_again_has_its_passwords_and_data(release: Release):
    rest(release)
    release.verify()
    before, stored = held(release), windows(release, "load")
    release.uninstall()
    assert held(release) == before
    release.install()
    assert held(release) == before
    assert windows(release, "load") == stored
    resume(release, "load")
    flows(release, "load")
    rest(release)
    assert "lost 0, duplicates 0" in release.verify()
