"""What `make kind-demo` does, with stand-ins for Docker and kind, so that it needs no engine."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from services import ROOT

_NOTING = """\
#!/bin/sh
echo "$(basename "$0") $*" >>"{folder}/notes"
case "$(basename "$0") $*" in
"curl "*) echo '[{{"_id":"facility_1"}},{{"_id":"facility_2"}},{{"_id":"facility_3"}}]' ;;
"kubectl port-forward"*) exec sleep 60 ;;
"kubectl apply"*-) cat >/dev/null ;;
esac
"""
_TOOLS = ("sh", "dirname", "basename", "date", "sed", "cat", "grep", "wc", "sleep")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder to be the whole PATH, with nothing of Docker's or Kubernetes' in it."""
    for tool in _TOOLS:
        (tmp_path / tool).symlink_to(Path("/bin") / tool)
    return tmp_path


def add(path: Path, *names: str, text: str = _NOTING) -> None:
    for name in names:
        program = path / name
        program.write_text(text.format(folder=path))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)


def demo(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "manifests/kind-demo.sh", *arguments],
        env=os.environ | {"PATH": str(path), "TMPDIR": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def notes(path: Path) -> list[str]:
    return (path / "notes").read_text().splitlines()


def test_without_docker_it_says_so_and_what_works_instead(path: Path):
    done = demo(path)
    assert done.returncode == 1
    assert "no Docker engine answers here" in done.stderr
    assert "make up" in done.stderr


def test_a_docker_client_without_an_engine_is_not_enough(path: Path):
    add(path, "docker", text="#!/bin/sh\nexit 1\n")
    assert "no Docker engine answers here" in demo(path).stderr


def test_all_that_is_missing_is_named_at_once(path: Path):
    add(path, "docker", "kubectl")
    assert "not found here: kind helm curl" in demo(path).stderr


def test_it_ends_with_the_answer_of_the_api(path: Path):
    add(path, "docker", "kind", "kubectl", "helm", "curl")
    done = demo(path)
    assert done.returncode == 0, done.stderr
    assert '"facility_3"' in done.stdout
    done_by = notes(path)
    strimzi, ours = (
        next(
            i for i, note in enumerate(done_by) if note.startswith(f"helm upgrade --install {name}")
        )
        for name in ("strimzi ", "sensorpipe ")
    )
    assert strimzi < ours  # its resources must be known before ours are installed
    loaded = {note.split()[3].split(":")[0] for note in done_by if note.startswith("kind load")}
    assert loaded == {
        f"sensorpipe-{app}" for app in ("operator", "generator", "compactor", "server")
    }


def test_only_the_cluster_of_its_own_is_removed(path: Path):
    add(path, "docker", "kind", "kubectl", "helm", "curl")
    assert demo(path, "down").returncode == 0
    assert [note for note in notes(path) if "delete" in note] == [
        "kind delete cluster --name sensorpipe-demo"
    ]
