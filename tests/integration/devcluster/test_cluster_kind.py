"""What the tests ask of kind and of the three builders of images.

Stand-ins for the programs note their arguments: an engine to run the real ones needs Docker.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cluster_choice
import cluster_images
import cluster_kind
import cluster_own
import pytest
import yaml
from cluster_client import Cluster
from cluster_command import CommandError
from cluster_home import UnavailableError
from cluster_layout import Layout
from support.kube import restricted_pod
from support.services import ROOT

_PROGRAM = """\
#!/bin/sh
echo "$(basename "$0") $*" >>"{notes}"
case "$*" in
"get clusters"*) cat "{clusters}" ;;
"{fails}"*) echo '{error}' >&2; exit 1 ;;
esac
exit {status}
"""
_GONE = 2**22 + 1
"""More than a process id can be."""


@dataclass(frozen=True)
class StandIns:
    folder: Path

    @property
    def notes(self) -> list[str]:
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def add(self, *names: str, status: int = 0, fails: str = "nothing", error: str = "") -> None:
        """Put programs on the PATH; `fails`: what the arguments of a failing call begin with."""
        for name in names:
            program = self.folder / name
            text = _PROGRAM.format(
                notes=self.folder / "notes",
                clusters=self.folder / "clusters",
                status=status,
                fails=fails,
                error=error,
            )
            program.write_text(text)
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def has_clusters(self, *names: str) -> None:
        (self.folder / "clusters").write_text("".join(f"{name}\n" for name in names))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    """A PATH with nothing on it but what the stand-ins need, and then the stand-ins."""
    for name in ("sh", "basename", "cat"):
        (tmp_path / name).symlink_to(Path("/bin") / name)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(cluster_choice.GIVEN, raising=False)
    made = StandIns(tmp_path)
    made.has_clusters()
    return made


def test_kind_makes_the_cluster_where_a_docker_engine_answers(programs: StandIns):
    programs.add("docker", "kind", "kubectl")
    cluster = cluster_choice.cluster()
    name = f"sensorpipe-test-{os.getpid()}"
    created = next(note for note in programs.notes if note.startswith("kind create cluster"))
    assert f"--name={name}" in created
    assert f"--kubeconfig={cluster.kubeconfig}" in created  # and not ~/.kube/config
    assert "manifests/kind.yaml" in created
    cluster.maker.stop()
    assert programs.notes[-1].startswith(f"kind delete cluster --name={name}")


def test_kind_clusters_of_others_are_left_alone(programs: StandIns):
    programs.add("docker", "kind", "kubectl")
    crashed, alive = f"sensorpipe-test-{_GONE}", f"sensorpipe-test-{os.getppid()}"
    programs.has_clusters("kind", "sensorpipe-test-mine", alive, crashed)
    cluster_choice.cluster()
    removed = [note for note in programs.notes if note.startswith("kind delete")]
    assert len(removed) == 1
    assert f"--name={crashed} " in removed[0]


def test_the_kind_cluster_that_stays_is_used_and_stays(programs: StandIns):
    programs.add("docker", "kind", "kubectl")
    programs.has_clusters("sensorpipe")
    cluster_choice.cluster().maker.stop()
    assert not [note for note in programs.notes if "create" in note or "delete" in note]
    assert cluster_kind.remove_kept() == 1


_NO_IMAGE = 'ERROR: failed to create cluster: failed to pull image "kindest/node:v1.37.0"'


@pytest.fixture
def kind_without_an_image(programs: StandIns) -> StandIns:
    programs.add("docker", "kubectl")
    programs.add("kind", fails="create cluster", error=_NO_IMAGE)
    return programs


@pytest.mark.usefixtures("kind_without_an_image")
@pytest.mark.parametrize("choose", [cluster_choice.cluster, cluster_choice.keep])
def test_where_kinds_node_image_cannot_be_had_our_own_cluster_takes_over(
    choose: Callable[[], Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    own = cluster_own.OwnCluster(Layout(tmp_path, 0), tmp_path)
    monkeypatch.setattr(cluster_own, "why_not", lambda: None)
    monkeypatch.setattr(cluster_own, "running", lambda: own)
    assert choose().maker is own


@pytest.mark.usefixtures("kind_without_an_image")
def test_where_neither_can_be_had_both_reasons_are_reported(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster_own, "why_not", lambda: "a cluster of our own needs root")
    with pytest.raises(UnavailableError) as told:
        cluster_choice.cluster()
    assert "node image cannot be pulled here; SENSORPIPE_TEST_KIND_IMAGE names" in str(told.value)
    assert "needs root" in str(told.value)


def test_another_node_image_can_be_named(programs: StandIns, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(cluster_kind.IMAGE, "registry.example/node:v1.36.1")
    programs.add("docker", "kind", "kubectl")
    cluster_choice.cluster()
    created = next(note for note in programs.notes if note.startswith("kind create cluster"))
    assert "--image=registry.example/node:v1.36.1" in created


@pytest.mark.usefixtures("kind_without_an_image")
def test_a_node_image_that_was_named_is_not_passed_over(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(cluster_kind.IMAGE, "registry.example/node:v1.36.1")
    with pytest.raises(CommandError, match="failed to pull image"):
        cluster_choice.cluster()


def test_a_kind_cluster_runs_on_hosts_with_cgroup_v1_as_well():
    config = yaml.safe_load((ROOT / "manifests/kind.yaml").read_text())
    kubelet = [yaml.safe_load(patch) for patch in config["kubeadmConfigPatches"]]
    assert kubelet == [{"kind": "KubeletConfiguration", "failCgroupV1": False}]


def test_without_helm_a_test_on_kinds_cluster_is_told_what_brings_it(
    programs: StandIns, monkeypatch: pytest.MonkeyPatch
):
    programs.add("docker", "kind", "kubectl")
    monkeypatch.setattr("cluster_programs.built", lambda: None)
    with pytest.raises(UnavailableError, match=r"no helm here; .*`make test-programs` builds one"):
        cluster_choice.cluster().helm("list")


def test_a_pod_that_asks_something_once_fits_on_a_small_node():
    (container,) = restricted_pod.pod("client", "x:1", "true")["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "10m", "memory": "64Mi"}


def test_a_docker_client_without_an_engine_is_no_engine(programs: StandIns):
    programs.add("kind", "kubectl")
    programs.add("docker", status=1)
    with pytest.raises(UnavailableError, match="no Docker engine answers"):
        cluster_kind.start()


@pytest.mark.parametrize("tool", ["docker", "podman", "buildah"])
def test_each_builder_is_told_the_same(programs: StandIns, tool: str):
    programs.add(tool)
    builder = cluster_images.builder()
    assert builder.tool == tool
    arguments, secrets = {"APP": "server"}, {"pip": Path("/a/pip.conf")}
    builder.build("x:1", Path("Dockerfile"), Path(), arguments=arguments, secrets=secrets)
    built = programs.notes[-1].split()
    assert built[:2] == [tool, "build"]
    for word in ("--tag=x:1", "--build-arg=APP=server", "--secret=id=pip,src=/a/pip.conf"):
        assert word in built


def test_a_docker_that_cannot_build_is_passed_over(programs: StandIns):
    programs.add("docker", fails="build", error="the buildx component is missing or broken")
    programs.add("buildah")
    assert cluster_images.builder().tool == "buildah"


def test_what_the_builders_that_are_here_lack_is_reported(programs: StandIns):
    programs.add("docker", fails="build", error="the buildx component is missing or broken")
    with pytest.raises(UnavailableError, match="docker build failed with 1: the buildx component"):
        cluster_images.builder()


def test_without_a_builder_the_three_are_named(programs: StandIns):
    assert not programs.notes
    with pytest.raises(UnavailableError, match="docker, podman or buildah"):
        cluster_images.builder()
