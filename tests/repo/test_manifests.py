"""The development profile without Helm: the manifest, and the Secrets that it names."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pymongo.uri_parser import parse_uri
from support.chart.render import helm
from support.services import ROOT

MANIFEST = ROOT / "manifests/development.yaml"
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all(MANIFEST.read_text()))

# Keeps each object in a file; `value` is the only reader of values, and asks for one by template.
_KUBECTL = r"""#!/bin/sh
set -eu
[ "$1" = -n ] && shift 2
case $1 in
get)
    file=$STORE/$2-$3
    case $* in
    *go-template*)
        key=$(printf %s "$*" | sed 's/.*\.data "\([a-z-]*\)".*/\1/')
        sed -n "s/^  $key: \"\(.*\)\"/\1/p" "$file" ;;
    *) [ ! -e "$file" ] || echo "$2/$3" ;;
    esac ;;
create)
    if [ "$2" = namespace ]; then
        touch "$STORE/namespace-$3"
    else
        cat >"$STORE/new"
        mv "$STORE/new" "$STORE/secret-$(sed -n 's/^  name: //p' "$STORE/new")"
    fi
    echo created ;;
esac
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder that a stand-in for kubectl keeps objects in."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "store").mkdir()
    program = tmp_path / "bin/kubectl"
    program.write_text(_KUBECTL)
    program.chmod(0o755)
    return tmp_path / "store"


def make_secrets(store: Path) -> str:
    path = f"{store.parent / 'bin'}:{os.environ['PATH']}"
    environ = os.environ | {"PATH": path, "STORE": str(store)}
    script = [str(ROOT / "manifests/secrets.sh")]
    return subprocess.run(script, check=True, capture_output=True, env=environ, text=True).stdout


def secrets(store: Path) -> dict[str, dict[str, str]]:
    found = [yaml.safe_load(file.read_text()) for file in store.glob("secret-*")]
    return {secret["metadata"]["name"]: secret["stringData"] for secret in found}


def needed(node: Any) -> set[tuple[str, str]]:
    """Return the Secrets and keys that an object mounts or refers to."""
    found: set[tuple[str, str]] = set()
    if isinstance(node, list):
        found.update(*(needed(inner) for inner in node))
    elif isinstance(node, dict):
        if "secretKeyRef" in node:
            found.add((node["secretKeyRef"]["name"], node["secretKeyRef"]["key"]))
        if isinstance(secret := node.get("secret"), dict):
            name = secret.get("secretName") or secret["name"]
            found.update((name, item["key"]) for item in secret["items"])
        found.update(*(needed(inner) for inner in node.values()))
    return found


def test_the_manifest_is_fresh() -> None:
    environ = os.environ | {"HELM": str(helm())}
    script = [str(ROOT / "manifests/render.sh")]
    made = subprocess.run(script, check=True, capture_output=True, env=environ, text=True).stdout
    assert list(yaml.safe_load_all(made)) == OBJECTS, "`make manifests` renders it again"


def test_the_manifest_holds_no_secret_and_is_all_in_one_namespace() -> None:
    assert not [found for found in OBJECTS if found["kind"] == "Secret"]
    assert {o["metadata"].get("namespace", "sensorpipe") for o in OBJECTS} == {"sensorpipe"}
    assert OBJECTS[0]["kind"] == "Namespace"


def test_all_secrets_that_the_manifest_names_are_made(store: Path) -> None:
    make_secrets(store)
    made = secrets(store)
    there = {(name, key) for name, keys in made.items() for key in keys}

    strimzis = {("sensorpipe-cluster-ca-cert", "ca.crt")}
    assert needed(OBJECTS) - strimzis <= there
    (operator,) = [o for o in OBJECTS if o["metadata"]["name"] == "sensorpipe-operator"
                   and o["kind"] == "Deployment"]  # fmt: skip
    variables = operator["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "SENSORPIPE_BROKER_SECRET", "value": "sensorpipe-broker"} in variables


def test_the_addresses_lead_to_the_services_with_the_passwords(store: Path) -> None:
    make_secrets(store)
    made = secrets(store)
    services = {o["metadata"]["name"] for o in OBJECTS if o["kind"] == "Service"}
    broker, database = made["sensorpipe-mosquitto"], made["sensorpipe-mongodb"]

    for role, url in (
        ("compactor", broker["compactor-url"]),
        ("generator", made["sensorpipe-broker"]["url"]),
    ):
        password = broker[f"{role}-password"]
        assert url == f"mqtt://{role}:{password}@sensorpipe-mosquitto.sensorpipe.svc:1883"
    uri = parse_uri(database["uri"])
    assert uri["password"] == database["server-password"]
    assert {"sensorpipe-mosquitto", uri["nodelist"][0][0].split(".")[1]} <= services
    (provision,) = [
        part
        for o in OBJECTS
        if o["kind"] == "StatefulSet"
        for part in o["spec"]["template"]["spec"]["containers"]
        if part["name"] == "provision"
    ]
    variables = {entry["name"]: entry["value"] for entry in provision["env"]}
    assert variables["SENSORPIPE_MONGODB_HOST"] == f"{uri['nodelist'][0][0]}:27017"
    assert variables["SENSORPIPE_MONGODB_USERNAME"] == uri["username"]
    assert variables["SENSORPIPE_MONGODB_DATABASE"] == uri["database"]


def test_passwords_are_long_and_all_different(store: Path) -> None:
    make_secrets(store)
    passwords = [
        value
        for held in secrets(store).values()
        for key, value in held.items()
        if "-pass" in key or key == "keyfile"
    ]
    assert len(set(passwords)) == len(passwords) == 7
    assert all(re.fullmatch("[0-9a-f]{48}", password) for password in passwords)


def test_what_is_there_is_kept(store: Path) -> None:
    assert make_secrets(store).count("created") == 6
    before = secrets(store)
    assert make_secrets(store).count("kept") == 5
    assert secrets(store) == before

    (store / "secret-sensorpipe-broker").unlink()
    assert make_secrets(store).count("kept") == 4
    assert secrets(store) == before


def test_a_broker_that_is_there_keeps_the_compactors_session(store: Path) -> None:
    make_secrets(store)
    (store / "secret-sensorpipe-mqtt-session").unlink()
    make_secrets(store)
    assert secrets(store)["sensorpipe-mqtt-session"] == {"client-id": "sensorpipe-compactor"}
