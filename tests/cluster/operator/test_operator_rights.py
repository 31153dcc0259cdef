"""What the operator may do, and what the cluster's own roles may do with Sensors."""

from pathlib import Path

import pytest
from cluster_client import Cluster, KubectlError
from support.kube import operator_process
from support.kube.operator_process import Namespace
from support.waiting import until

pytest_plugins = ["support.kube.operator_fixtures"]


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        ("view", {"get": "yes", "create": "no", "patch": "no", "delete": "no"}),
        ("edit", {"get": "yes", "create": "yes", "patch": "yes", "delete": "yes"}),
    ],
)
def test_the_clusters_own_roles_cover_sensors(
    namespace: Namespace, role: str, verbs: dict[str, str]
) -> None:
    namespace.kubectl("create", "rolebinding", role, f"--clusterrole={role}", "--user=ann")

    def can(*question: str) -> str:
        try:
            return namespace.kubectl("auth", "can-i", *question, "--as=ann").strip()
        except KubectlError:  # its exit code says no
            return "no"

    until(lambda: can("get", "sensors.sensorpipe.dev") == "yes")
    assert {verb: can(verb, "sensors.sensorpipe.dev") for verb in verbs} == verbs
    scale = can("patch", "sensors.sensorpipe.dev", "--subresource=scale")
    assert scale == verbs["patch"]
    assert can("patch", "sensors.sensorpipe.dev", "--subresource=status") == "no"


@pytest.mark.parametrize(
    ("allowed", "question"),
    [
        ("yes", "list sensors.sensorpipe.dev"),
        ("yes", "patch sensors.sensorpipe.dev --subresource=status"),
        ("yes", "list feeds.sensorpipe.dev"),
        ("yes", "patch feeds.sensorpipe.dev --subresource=status"),
        ("yes", "create deployments.apps"),
        ("no", "patch feeds.sensorpipe.dev"),
        ("no", "delete feeds.sensorpipe.dev"),
        ("yes", "get leases.coordination.k8s.io"),
        ("no", "create leases.coordination.k8s.io"),
        ("no", "update leases.coordination.k8s.io"),
        ("no", "patch pods"),
        ("no", "patch sensors.sensorpipe.dev"),
        ("no", "delete sensors.sensorpipe.dev"),
        ("no", "get secrets"),
        ("no", "list secrets"),
        ("no", "create pods"),
        ("no", "delete pods"),
        ("no", "create pods --subresource=exec"),
        ("no", "delete configmaps"),
        ("no", "list namespaces"),
        ("no", "list customresourcedefinitions.apiextensions.k8s.io"),
        ("no", "create rolebindings.rbac.authorization.k8s.io"),
        ("no", "impersonate users"),
    ],
)
def test_the_operator_may_do_what_it_must_and_no_more(
    cluster: Cluster, config_file: Path, allowed: str, question: str
) -> None:
    del config_file
    account = f"system:serviceaccount:{operator_process.NAMESPACE}:{operator_process.ACCOUNT}"
    command = ["auth", "can-i", *question.split(), "-n", "default", f"--as={account}"]
    try:
        said = cluster.kubectl(*command)
    except KubectlError:
        said = "no"
    assert said.strip() == allowed
