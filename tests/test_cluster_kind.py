"""What the tests ask of kind and of the three builders of images.

Stand-ins for the programs note their arguments: an engine to run the real ones needs Docker.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import cluster_builder
import cluster_choice
import cluster_kind
import pytest
from cluster_home import UnavailableError

_PROGRAM = """\
#!/bin/sh
echo "$(basename "$0") $*" >>"{notes}"
case "$*" in
"get clusters"*) cat "{clusters}" ;;
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

    def add(self, *names: str, status: int = 0) -> None:
        for name in names:
            program = self.folder / name
            text = _PROGRAM.format(
                notes=self.folder / "notes", clusters=self.folder / "clusters", status=status
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


def test_a_docker_client_without_an_engine_is_no_engine(programs: StandIns):
    programs.add("kind", "kubectl")
    programs.add("docker", status=1)
    with pytest.raises(UnavailableError, match="no Docker engine answers"):
        cluster_kind.start()


@pytest.mark.parametrize("tool", ["docker", "podman", "buildah"])
def test_each_builder_is_told_the_same(programs: StandIns, tool: str):
    programs.add(tool)
    builder = cluster_builder.builder()
    assert builder.tool == tool
    arguments, secrets = {"APP": "server"}, {"pip": Path("/a/pip.conf")}
    builder.build("x:1", Path("Dockerfile"), Path(), arguments=arguments, secrets=secrets)
    built = programs.notes[-1].split()
    assert built[:2] == [tool, "build"]
    for word in ("--tag=x:1", "--build-arg=APP=server", "--secret=id=pip,src=/a/pip.conf"):
        assert word in built


def test_without_a_builder_the_three_are_named(programs: StandIns):
    assert not programs.notes
    with pytest.raises(UnavailableError, match="docker, podman or `apt-get install buildah`"):
        cluster_builder.builder()
