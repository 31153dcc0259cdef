"""The chart without Helm's records: rendered and applied again and again, as GitOps does it.

Argo CD cannot run where the tests do; `sync` does what it documents: hooks first, by weight, each
deleted before it is created, and deleted once it has succeeded; then all the rest is applied.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cluster_client import Cluster
from support.chart.release import NAME, Release, flows, rest
from support.chart.release_site import uninstalled
from support.chart.render import CHART
from support.kube.operator_sensors import sensor
from support.waiting import until

SYNCS = 5
_HOOK, _WEIGHT = "helm.sh/hook", "helm.sh/hook-weight"


class SyncFailedError(Exception):
    """A hook failed, and so the sync ended before the rest."""


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[Release]:
    """A restricted namespace in which the chart was applied, and readings flow."""
    with uninstalled(cluster) as made:
        apply(made, rendered(made))
        for component in ("mosquitto", "mongodb", "compactor", "server", "operator"):
            made.settle(component)
        cluster.apply(sensor("load", count=10), namespace=made.namespace)
        made.wait_facilities("load")
        yield made
        # what is of no namespace, too
        left = ("delete", "-f", "-", "--ignore-not-found", "--wait=false")
        cluster.kubectl(*left, stdin=rendered(made))


def rendered(release: Release, *more: str) -> str:
    """Return what Helm prints, which never asks the cluster."""
    images = [f"--set={one}" for one in release.images]
    common = ("template", NAME, str(CHART), "-n", release.namespace, "--skip-tests")
    return release.cluster.helm(*common, *images, *more)


def apply(release: Release, text: str) -> None:
    release.cluster.kubectl("apply", "--server-side", "-f", "-", stdin=text, timeout=200)


def sync(release: Release) -> None:
    """Do what Argo CD does to bring a rendering about."""
    objects = [found for found in yaml.safe_load_all(rendered(release)) if found]
    hooks = [found for found in objects if _HOOK in found["metadata"].get("annotations", {})]
    hooks.sort(key=lambda found: int(found["metadata"]["annotations"][_WEIGHT]))
    assert {found["metadata"]["annotations"][_HOOK] for found in hooks} == {
        "pre-install,pre-upgrade"
    }
    for hook in hooks:
        text = yaml.safe_dump(hook)
        release.cluster.kubectl("delete", "-f", "-", "--ignore-not-found", stdin=text)
        apply(release, text)
        if (
            hook["kind"] == "Job"
            and (how := ended(release, hook["metadata"]["name"])) != "Complete"
        ):
            raise SyncFailedError(how)
    apply(release, yaml.safe_dump_all([found for found in objects if found not in hooks]))
    release.cluster.kubectl("delete", "-f", "-", stdin=yaml.safe_dump_all(hooks))


def ended(release: Release, job: str) -> str:
    """Return how a Job has ended: Complete or Failed."""

    def conditions() -> set[str]:
        found = release.get(f"job/{job}")["status"].get("conditions", [])
        return {one["type"] for one in found if one["status"] == "True"}

    until(lambda: bool(conditions() & {"Complete", "Failed"}))
    return "Failed" if "Failed" in conditions() else "Complete"


def running(release: Release) -> dict[str, Any]:
    """Return which pods run, how often each container was started again, and Strimzi's users."""
    pods = {
        pod["metadata"]["uid"]: [one["restartCount"] for one in pod["status"]["containerStatuses"]]
        for pod in release.get("pods")["items"]
        if pod["metadata"]["labels"].get("app.kubernetes.io/component") != "passwords"
    }
    users = {one["metadata"]["uid"]: one["spec"] for one in release.get("kafkausers")["items"]}
    sets = release.get("deployments,statefulsets,kafkausers")["items"]
    generations = {one["metadata"]["uid"]: one["metadata"]["generation"] for one in sets}
    return {"pods": pods, "users": users, "generations": generations}


def held(release: Release) -> dict[str, dict[str, str]]:
    """Return what the release's Secrets hold."""
    chosen = ("-l", f"app.kubernetes.io/instance={NAME}")
    return {
        one["metadata"]["name"]: one["data"] for one in release.get("secrets", *chosen)["items"]
    }


def test_applied_again_and_again_nothing_restarts_and_no_password_changes(release: Release):
    passwords, pods, text = held(release), running(release), rendered(release)
    assert {f"{NAME}-{one}" for one in ("mosquitto", "broker", "kafka-passwords", "mongodb")} <= (
        passwords.keys()
    )
    for _ in range(SYNCS):
        assert rendered(release) == text
        apply(release, text)
    assert (held(release), running(release)) == (passwords, pods)


def test_synced_again_and_again_nothing_restarts_and_no_password_changes(release: Release):
    passwords, pods = held(release), running(release)
    for _ in range(SYNCS):
        sync(release)
    assert (held(release), running(release)) == (passwords, pods)
    flows(release, "load")


def test_a_newer_rendering_is_applied_although_jobs_cannot_change(release: Release):
    passwords = held(release)
    apply(release, rendered(release, "--set=mongodb.database=sensorpipe,operator.logLevel=DEBUG"))
    chosen = ("-l", "app.kubernetes.io/component=passwords")
    release.kubectl("wait", "--for=condition=Complete", "jobs", *chosen, "--timeout=120s")
    release.settle("operator")
    assert held(release) == passwords


def test_a_foreign_secret_is_named_and_left_alone(release: Release):
    name = f"{NAME}-kafka-passwords"
    labels = "app.kubernetes.io/instance"
    release.kubectl("label", "secret", name, f"{labels}=another", "--overwrite")
    try:
        with pytest.raises(SyncFailedError):
            sync(release)
        pods = release.get("pods", "-l", "app.kubernetes.io/component=passwords")["items"]
        states = [one["state"] for pod in pods for one in pod["status"]["containerStatuses"]]
        said = [state.get("terminated", {}).get("message", "") for state in states]
        assert f"Secret {name} in namespace {release.namespace} exists" in "".join(said)
    finally:
        release.kubectl("label", "secret", name, f"{labels}={NAME}", "--overwrite")
        sync(release)


def test_after_all_that_nothing_is_lost_or_duplicate(release: Release):
    rest(release)
    assert "lost 0, duplicates 0" in release.verify()
