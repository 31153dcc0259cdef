"""The cluster's keys as an operator publishes them: the server accepts the cluster's tokens."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_client import Cluster
from sensorpipe_server.access.tokens import RefusedError
from sensorpipe_server.api.access.access import Access
from support.kube import operator_process
from support.kube.operator_process import NAMESPACE, Namespace, Operator
from support.tokens import AUDIENCE, access_file, grant
from support.waiting import until

pytest_plugins = ["support.kube.operator_fixtures"]

NAME = "demo-cluster-issuer"
OWNER = "demo-operator"
LOOKS = "sensorpipe_operator_cluster_key_looks_total"
SETTINGS = {"GENERATOR_IMAGE": "none:1", "RESYNC": "1s", "CLUSTER_ISSUER_OWNER": OWNER}


@pytest.fixture
def release(cluster: Cluster, config_file: Path) -> Iterator[Namespace]:
    """The namespace of a release, with the Deployment of its operator."""
    del config_file
    made = Namespace(cluster, NAMESPACE)
    labels = {"app.kubernetes.io/instance": "demo", "app.kubernetes.io/component": "operator"}
    pod = {"containers": [{"name": "operator", "image": "none:1"}]}
    made.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": OWNER, "labels": labels},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }
    )
    yield made
    made.kubectl("delete", "--ignore-not-found", f"deployment/{OWNER}", f"configmap/{NAME}")


@pytest.fixture
def operator(
    cluster: Cluster, release: Namespace, config_file: Path, tmp_path: Path
) -> Iterator[Operator]:
    """An operator with no rights but its own that publishes the keys."""
    place = f"{release.name}/{NAME}"
    settings = {**SETTINGS, "CLUSTER_ISSUER_CONFIG_MAP": place}
    with operator_process.running(cluster, tmp_path, config_file, **settings) as made:
        yield made


def found(release: Namespace) -> Any:
    """Return the ConfigMap; None if there is none."""
    text = release.kubectl("get", "configmap", NAME, "-o", "json", "--ignore-not-found")
    return json.loads(text) if text else None


def published(release: Namespace) -> Any:
    """Return the ConfigMap once it is there."""
    until(lambda: found(release) is not None)
    return found(release)


def access_by(folder: Path, data: dict[str, str], subject: str) -> Access:
    """Return the server's access by a ConfigMap's files, with a grant for a subject."""
    folder.mkdir()
    for name, text in data.items():
        (folder / name).write_text(text)
    cluster = {"issuerFile": "issuer", "audiences": [AUDIENCE], "jwksFile": "jwks.json"}
    return Access(access_file(folder, grant(["read"], ["*"], subject=subject), issuers=[cluster]))


async def test_the_server_accepts_tokens_of_service_accounts_for_its_audience_only(
    cluster: Cluster, release: Namespace, operator: Operator, tmp_path: Path
) -> None:
    del operator
    data = published(release)["data"]
    assert data.keys() == {"issuer", "jwks.json"}
    with cluster.namespace() as team, cluster.namespace() as other:
        access = access_by(tmp_path / "access", data, f"system:serviceaccount:{team}:*")

        async def granted(namespace: str, audience: str) -> list[str]:
            made = cluster.kubectl(
                "-n", namespace, "create", "token", "default", "--audience", audience
            )
            return list((await access.permissions([f"Bearer {made.strip()}"])).by_scope)

        places = [Namespace(cluster, name) for name in (team, other)]
        until(lambda: all("default" in place.names("serviceaccounts") for place in places))
        assert await granted(team, AUDIENCE) == ["read"]
        assert await granted(other, AUDIENCE) == []
        with pytest.raises(RefusedError) as caught:
            await granted(team, "https://another.example")
        assert caught.value.reason == "audience"


def test_what_is_deleted_or_changed_is_put_right(release: Namespace, operator: Operator) -> None:
    first = published(release)
    release.kubectl("delete", "configmap", NAME)
    until(lambda: found(release) is not None)
    assert found(release)["data"] == first["data"]
    empty = json.dumps({"data": {"jwks.json": '{"keys": []}'}})
    release.kubectl("patch", "configmap", NAME, "--type=merge", "-p", empty)
    until(lambda: found(release)["data"] == first["data"])
    looks, version = operator.metric(LOOKS), found(release)["metadata"]["resourceVersion"]
    until(lambda: operator.metric(LOOKS) >= looks + 2)
    assert found(release)["metadata"]["resourceVersion"] == version  # what is right is not written
    assert operator.metric("sensorpipe_operator_cluster_keys_age_seconds") < 60


def test_a_config_map_of_others_is_left_alone(
    release: Namespace, cluster: Cluster, config_file: Path, tmp_path: Path
) -> None:
    release.kubectl("create", "configmap", NAME, "--from-literal=issuer=https://other.example")
    before = found(release)
    settings = {**SETTINGS, "CLUSTER_ISSUER_CONFIG_MAP": f"{release.name}/{NAME}"}
    with operator_process.running(cluster, tmp_path, config_file, **settings) as operator:
        until(lambda: f'{LOOKS}{{result="foreign"}}' in operator.get("/metrics")[1])
        assert found(release) == before
        release.kubectl("delete", "configmap", NAME)
        until(lambda: found(release) is not None)
        assert found(release)["data"]["issuer"] != "https://other.example"


def test_it_is_deleted_with_the_operators_deployment(
    release: Namespace, operator: Operator
) -> None:
    labels = published(release)["metadata"]["labels"]
    assert labels["app.kubernetes.io/instance"] == "demo"
    assert operator.stop() == 0
    release.kubectl("delete", "deployment", OWNER)
    until(lambda: found(release) is None)
