"""Which cluster the tests take, and what a build of images gets to know of this host."""

from pathlib import Path

import build
import cluster_choice
import cluster_kind
import cluster_own
import pytest
from cluster_home import UnavailableError


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text("apiVersion: v1\nkind: Config\n")
    monkeypatch.setenv(cluster_choice.GIVEN, str(path))
    (tmp_path / "kubectl").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return path


def test_the_cluster_given_comes_first(kubeconfig: Path):
    assert cluster_choice.cluster().kubeconfig == kubeconfig


@pytest.mark.usefixtures("kubeconfig")
def test_the_cluster_given_is_never_changed_by_its_maker():
    given = cluster_choice.cluster()
    with pytest.raises(UnavailableError, match="not the tests' to kill"):
        given.restart_api_server()
    with pytest.raises(UnavailableError, match=cluster_choice.IMAGES):
        given.maker.load(Path("generator.tar"))


@pytest.mark.usefixtures("kubeconfig")
def test_the_cluster_given_pulls_images_that_its_owner_names(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(cluster_choice.IMAGES, "registry.example/sensorpipe-{app}:test")
    image = cluster_choice.cluster().load_image("server")
    assert image == "registry.example/sensorpipe-server:test"


def test_a_kubeconfig_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(cluster_choice.GIVEN, "/no/such/file")
    with pytest.raises(UnavailableError, match="SENSORPIPE_TEST_KUBECONFIG names no file"):
        cluster_choice.cluster()


def test_where_none_is_possible_all_three_reasons_are_reported(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(cluster_choice.GIVEN, raising=False)
    monkeypatch.setattr(cluster_kind, "why_not", lambda: "kind is not here")
    monkeypatch.setattr(cluster_own, "why_not", lambda: "a cluster of our own needs root")
    with pytest.raises(UnavailableError) as told:
        cluster_choice.cluster()
    for reason in ("KUBECONFIG is not set", "kind is not here", "needs root"):
        assert reason in str(told.value)


def test_an_image_build_learns_the_package_index_but_no_path(tmp_path: Path):
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://a.example/simple\n")
    environ = {
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "PIP_FIND_LINKS": "/some/wheels",
        "PIP_CERT": "/some/ca.crt",
        "PIP_TIMEOUT": "99",
    }
    settings = build.pip_settings(environ)
    assert "index-url = https://a.example/simple" in settings
    assert "timeout = 99" in settings
    assert "/some/" not in settings


def test_an_index_that_only_uv_knows_counts_too():
    settings = build.pip_settings({"UV_DEFAULT_INDEX": "https://b.example/simple"})
    assert "index-url = https://b.example/simple" in settings


def test_every_program_has_an_image():
    assert {"generator", "compactor", "server"} <= set(build.apps())
