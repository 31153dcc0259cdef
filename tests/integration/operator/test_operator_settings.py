"""A bad environment ends the operator at the start, with a line for each variable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sensorpipe_operator.settings import Settings
from sensorpipe_operator.watch.handlers import kopf_settings
from sensorpipe_runtime.settings import SettingsError

GOOD = {"SENSORPIPE_GENERATOR_IMAGE": "registry.example:5000/sensorpipe/generator:0.1.0"}


def test_defaults() -> None:
    settings = Settings.read(GOOD)
    assert settings.namespaces == ()
    assert settings.generator.broker_secret == "sensorpipe-broker"
    assert (settings.workers, settings.resync_ms) == (20, 600_000)
    assert (settings.cluster_issuer.issuer_map, settings.cluster_issuer.owner) == (None, "")


def test_where_the_keys_of_the_cluster_are_written() -> None:
    given = {"CLUSTER_ISSUER_CONFIG_MAP": "demo/demo-keys", "CLUSTER_ISSUER_OWNER": "demo-operator"}
    settings = Settings.read(
        {**GOOD, **{f"SENSORPIPE_{name}": each for name, each in given.items()}}
    )
    assert settings.cluster_issuer.issuer_map == ("demo", "demo-keys")
    assert settings.cluster_issuer.owner == "demo-operator"


def test_namespaces() -> None:
    settings = Settings.read({**GOOD, "SENSORPIPE_WATCH_NAMESPACES": "a, b,,a"})
    assert settings.namespaces == ("a", "b")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GENERATOR_IMAGE", "no image"),
        ("GENERATOR_IMAGE", ""),
        ("GENERATOR_PULL_POLICY", "Sometimes"),
        ("GENERATOR_PULL_SECRETS", "a,B"),
        ("GENERATOR_LOG_LEVEL", "LOUD"),
        ("GENERATOR_POD", "nodeSelector: {disk: ssd}"),
        ("WATCH_NAMESPACES", "a,b c"),
        ("BROKER_SECRET", ""),
        ("BROKER_CA_KEY", "a/b"),
        ("WORKERS", "0"),
        ("RESYNC", "0s"),
        ("HTTP", "9090"),
        ("CLUSTER_ISSUER_CONFIG_MAP", "keys"),
        ("CLUSTER_ISSUER_CONFIG_MAP", "demo/No"),
        ("CLUSTER_ISSUER_OWNER", "demo/operator"),
    ],
)
def test_what_is_wrong_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"SENSORPIPE_{name}: must be"):
        Settings.read({**GOOD, f"SENSORPIPE_{name}": value})


def test_the_program_says_everything_that_is_wrong_and_ends() -> None:
    command = [sys.executable, "-m", "sensorpipe_operator"]
    environ = {"PATH": os.environ["PATH"], "SENSORPIPE_WORKERS": "none"}
    done = subprocess.run(command, check=False, env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert [line.split(": ")[-2] for line in done.stderr.splitlines()] == [
        "SENSORPIPE_GENERATOR_IMAGE",
        "SENSORPIPE_WORKERS",
    ]


@pytest.mark.parametrize("config", [None, "{}", "kind: Config"])
def test_a_cluster_that_cannot_be_found_is_said(tmp_path: Path, config: str | None) -> None:
    path = tmp_path / "config"
    if config is not None:
        path.write_text(config)
    command = [sys.executable, "-m", "sensorpipe_operator"]
    environ = {**GOOD, "PATH": os.environ["PATH"], "KUBECONFIG": str(path)}
    environ |= {"SENSORPIPE_HTTP": "127.0.0.1:0"}
    done = subprocess.run(command, check=False, env=environ, capture_output=True, text=True)
    (line,) = done.stderr.splitlines()
    assert line.startswith("sensorpipe-operator: KUBECONFIG: no cluster is configured: ")
    assert done.returncode == 1


def test_kopf_notices_a_lost_connection_and_adds_nothing_to_sensors() -> None:
    settings = kopf_settings()
    assert settings.watching.server_timeout
    assert settings.watching.client_timeout
    assert settings.scanning.disabled
    assert settings.queueing.worker_limit is None  # it would throttle events
    assert not settings.posting.enabled
