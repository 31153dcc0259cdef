"""Passwords: none is rendered, each rendering is the same, and only a new one restarts pods."""

import json
import re
from pathlib import Path

import pytest
from cluster_command import run
from support.chart import helms as chart_helms
from support.chart.lookup import render_in
from support.chart.parts import policy
from support.chart.passwords import job, made, plan
from support.chart.profiles import PROFILES, Profile
from support.chart.render import CHART, Object, given, of_kind, one, pods, render
from support.kube.secret_store import SecretStore, encoded

JOB = "demo-sensorpipe-passwords"
CHECKSUM = "checksum/secrets"
EXISTING = (
    "mosquitto.existingSecret=one",
    "kafka.existingSecret=two",
    "mongodb.existingSecret=three",
)
USERS = {
    "Deployment/demo-sensorpipe-compactor",
    "Deployment/demo-sensorpipe-server",
    "StatefulSet/demo-sensorpipe-mosquitto",
    "StatefulSet/demo-sensorpipe-mongodb",
    "KafkaUser/demo-sensorpipe-compactor",
    "KafkaUser/demo-sensorpipe-server",
}
"""What a password that it uses restarts, or has looked at."""


def secrets(objects: list[Object]) -> dict[tuple[str, str], dict[str, str]]:
    """Return what the Job makes, by namespace and name."""
    store = made(objects)
    return {key: store.values(*key) for key in store.held}


def checksums(objects: list[Object]) -> dict[str, str]:
    """Return of which passwords each user is, as its annotation has it."""
    found = {name: pod["metadata"].get("annotations", {}) for name, pod in pods(objects)}
    users = of_kind(objects, "KafkaUser").items()
    found |= {f"KafkaUser/{name}": user["metadata"]["annotations"] for name, user in users}
    return {name: notes[CHECKSUM] for name, notes in found.items() if CHECKSUM in notes}


def held(store: SecretStore) -> list[Object]:
    """Return the Secrets as a cluster has them."""
    return list(store.held.values())


# --- what is rendered ---


@pytest.mark.parametrize("major", chart_helms.MAJORS)
@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_a_rendering_is_the_same_each_time_and_has_no_secret(major: str, profile: Profile) -> None:
    command = [str(chart_helms.helm(major)), "template", "demo", str(CHART), "-n", "sensors"]
    command += given(profile.sets, profile.files)
    first = run(*command, timeout=60)
    assert first == run(*command, timeout=60)
    assert not re.search("^kind: Secret$", first, re.MULTILINE)


def test_all_that_the_pods_mount_is_made():
    def mounted(node: object) -> set[tuple[str, str]]:
        if isinstance(node, list):
            return {pair for inner in node for pair in mounted(inner)}
        if not isinstance(node, dict):
            return set()
        inside = {pair for inner in node.values() for pair in mounted(inner)}
        if isinstance(secret := node.get("secret"), dict):
            name = secret.get("secretName") or secret["name"]
            inside |= {(name, item["key"]) for item in secret["items"]}
        return inside

    objects = render()
    there = {(name, key) for (_, name), keys in secrets(objects).items() for key in keys}
    strimzis = {("demo-sensorpipe-cluster-ca-cert", "ca.crt")}
    assert mounted(objects) - strimzis <= there
    assert there - mounted(objects) == {
        ("demo-sensorpipe-broker", "url"),  # the operator's generators mount it
    }


def test_each_password_is_another_and_random():
    found = [
        value
        for keys in secrets(render()).values()
        for key, value in keys.items()
        if key not in ("uri", "url", "compactor-url")
    ]
    assert len(found) == len(set(found)) == 8
    assert all(re.fullmatch("[A-Za-z0-9]{32}", value) for value in found)


def test_each_namespace_with_sensors_has_the_brokers_url_and_no_other_secret():
    found = secrets(render("sensors.namespaces={plant}"))
    assert {name for namespace, name in found if namespace == "plant"} == {"demo-sensorpipe-broker"}


def test_nothing_is_made_or_permitted_where_all_secrets_are_the_users():
    objects = render(*EXISTING)
    assert [found for found in objects if found["metadata"]["name"].startswith(JOB)] == []


# --- the Job, and what it may ---


def test_all_of_it_comes_before_the_release_and_the_job_after_its_rights():
    weights = {}
    for found in render():
        if found["metadata"]["name"].startswith(JOB):
            annotations = found["metadata"]["annotations"]
            assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
            policies = "before-hook-creation,hook-succeeded"
            assert annotations["helm.sh/hook-delete-policy"] == policies
            weights[found["kind"]] = int(annotations["helm.sh/hook-weight"])
    late = weights.pop("Job")
    assert set(weights) == {"ServiceAccount", "Role", "RoleBinding", "NetworkPolicy"}
    assert all(weight < late < 0 for weight in weights.values())


def test_it_may_read_and_change_these_secrets_and_no_others():
    roles = {
        found["metadata"]["namespace"]: found["rules"]
        for found in render("sensors.namespaces={plant}")
        if found["kind"] == "Role" and found["metadata"]["name"] == JOB
    }
    create = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}
    own = [
        f"demo-sensorpipe-{name}" for name in ("mosquitto", "broker", "kafka-passwords", "mongodb")
    ]
    some = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "patch"]}
    assert roles == {
        "sensors": [create, {**some, "resourceNames": own}],
        "plant": [create, {**some, "resourceNames": ["demo-sensorpipe-broker"]}],
    }


def test_it_reaches_the_api_server_like_the_operator():
    spec = policy(render(), "passwords")
    assert spec["egress"] == policy(render(), "operator")["egress"]
    assert spec["ingress"] == []
    labels = job(render())["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= spec["podSelector"]["matchLabels"].items()
    without = render("networkPolicy.enabled=false")
    assert JOB not in of_kind(without, "NetworkPolicy")


def test_it_runs_the_operators_image_with_the_pull_secrets():
    objects = render("image.registry=registry.example/team", "image.pullSecrets={mine}")
    spec = job(objects)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    operator = one(objects, "Deployment", "demo-sensorpipe-operator")["spec"]["template"]["spec"]
    assert container["image"] == operator["containers"][0]["image"]
    assert spec["imagePullSecrets"] == [{"name": "mine"}]


def test_a_job_of_another_specification_is_another_job():
    names = {
        job(render(*sets))["metadata"]["name"]
        for sets in ((), ("operator.image.tag=next",), ("mongodb.database=other",))
    }
    assert len(names) == 3
    assert job(render())["metadata"]["name"] == job(render("server.replicas=2"))["metadata"]["name"]
    longest = render(f"fullnameOverride={'a' * 40}")
    assert len(job(longest)["metadata"]["name"]) <= 63


# --- which pods a password restarts ---


def test_an_upgrade_after_the_install_restarts_nothing(tmp_path: Path):
    first = render_in(tmp_path, [], upgrade=False)
    assert set(checksums(first)) == USERS
    there = held(made(first))
    assert checksums(render_in(tmp_path, there)) == checksums(first)


@pytest.mark.parametrize(
    ("secret", "key", "whom"),
    [
        (
            "mosquitto",
            "generator-password",
            {"StatefulSet/demo-sensorpipe-mosquitto"},
        ),
        ("mosquitto", "compactor-client-id", {"Deployment/demo-sensorpipe-compactor"}),
        ("mongodb", "admin-password", {"StatefulSet/demo-sensorpipe-mongodb"}),
        (
            "mongodb",
            "server-password",
            {"StatefulSet/demo-sensorpipe-mongodb", "Deployment/demo-sensorpipe-server"},
        ),
        (
            "kafka-passwords",
            "compactor-password",
            {"Deployment/demo-sensorpipe-compactor", "KafkaUser/demo-sensorpipe-compactor"},
        ),
    ],
)
@pytest.mark.parametrize("how", ["removed", "set"])
def test_another_password_restarts_once_whom_it_concerns(
    tmp_path: Path, secret: str, key: str, whom: set[str], how: str
):
    name = f"demo-sensorpipe-{secret}"
    store = made(render_in(tmp_path, [], upgrade=False))
    # the first upgrade has the same revision here: Helm's own would be a greater one
    for record in store.held.values():
        notes = record["metadata"]["annotations"]
        notes["sensorpipe.dev/made"] = notes.get("sensorpipe.dev/made", "{}").replace(
            "revision 1", "revision 0"
        )
    before = checksums(render_in(tmp_path, held(store)))
    data = store.held["sensors", name]["data"]
    if how == "removed":
        del data[key]
    else:
        data |= encoded({key: "chosen"})

    upgrade = render_in(tmp_path, held(store))
    after = checksums(upgrade)
    assert {one for one in before if before[one] != after[one]} == whom
    store.run(plan(upgrade))
    assert checksums(render_in(tmp_path, held(store))) == after


def test_passwords_of_a_chart_before_restart_nothing(tmp_path: Path):
    store = made(render_in(tmp_path, [], upgrade=False))
    for record in store.held.values():
        record["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    before = checksums(render_in(tmp_path, held(store)))
    values = {key: store.values(*key) for key in store.held}

    store.run(plan(render_in(tmp_path, held(store))))
    assert {key: store.values(*key) for key in store.held} == values
    assert checksums(render_in(tmp_path, held(store))) == before


def test_the_plan_says_nothing_that_is_secret(tmp_path: Path):
    store = made(render_in(tmp_path, [], upgrade=False))
    text = json.dumps(render_in(tmp_path, held(store)))
    for namespace, name in store.held:
        for value in store.values(namespace, name).values():
            assert value not in text
