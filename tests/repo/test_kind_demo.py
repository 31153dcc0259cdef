"""What `make kind-demo` does, with stand-ins for Docker and kind, so that it needs no engine."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from support.chart.render import render
from support.services import ROOT

_NOTING = """\
#!/bin/sh
echo "$(basename "$0") $*" >>"{folder}/notes"
case "$(basename "$0") $*" in
"docker build "*)
    echo "BuildKit: $DOCKER_BUILDKIT" >>"{folder}/notes"
    for word; do case "$word" in APP=*) app=${{word#APP=}} ;; esac; done
    cat "{folder}/$app.id" 2>/dev/null || echo "sha256:0123456789abcdef-$app"
    ;;
"curl "*) echo '[{{"_id":"facility_1"}},{{"_id":"facility_2"}},{{"_id":"facility_3"}}]' ;;
"kubectl port-forward"*) exec sleep 60 ;;
"kubectl apply"*-) cat >/dev/null ;;
esac
"""
APPS = ("operator", "generator", "compactor", "server")
_TOOLS = ("sh", "dirname", "basename", "date", "sed", "cat", "grep", "wc", "sleep", "cut")


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
        timeout=240,
        check=False,
    )


def notes(path: Path) -> list[str]:
    written = path / "notes"
    return written.read_text().splitlines() if written.exists() else []


def first(done_by: list[str], beginning: str) -> int:
    return next(i for i, note in enumerate(done_by) if note.startswith(beginning))


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
    strimzi = first(done_by, "helm upgrade --install strimzi ")
    ours = first(done_by, "helm upgrade --install sensorpipe ")
    assert strimzi < ours  # its resources must be known before ours are installed
    loaded = {note.split()[3].split(":")[0] for note in done_by if note.startswith("kind load")}
    assert loaded == {f"sensorpipe-{app}" for app in APPS}


def test_all_images_are_built_by_buildkit_before_there_is_a_cluster(path: Path):
    add(path, "docker", "kind", "kubectl", "helm", "curl")
    assert demo(path).returncode == 0
    done_by = notes(path)
    builds = [i for i, note in enumerate(done_by) if note.startswith("docker build ")]
    assert len(builds) == len(APPS)
    assert done_by.count("BuildKit: 1") == len(APPS)
    assert max(builds) < first(done_by, "kind create cluster")


def test_a_build_that_fails_leaves_no_cluster(path: Path):
    add(path, "kind", "kubectl", "helm", "curl")
    add(path, "docker", text='#!/bin/sh\n[ "$1" != build ]\n')
    assert demo(path).returncode == 1
    assert not [note for note in notes(path) if "create" in note]


def test_a_second_demo_restarts_the_program_whose_source_changed(path: Path):
    add(path, "docker", "kind", "kubectl", "helm", "curl")
    assert demo(path).returncode == 0
    (path / "server.id").write_text("sha256:fedcba9876543210\n")
    assert demo(path).returncode == 0
    before, after = (
        dict(re.findall(r"--set-string (\w+)\.image\.tag=(\S+)", note))
        for note in notes(path)
        if note.startswith("helm upgrade --install sensorpipe ")
    )
    assert before == dict.fromkeys(APPS, "0123456789ab")
    assert after == {**before, "server": "fedcba987654"}
    assert "kind load docker-image sensorpipe-server:fedcba987654 --name sensorpipe-demo" in notes(
        path
    )


def test_the_chart_takes_the_images_of_these_tags():
    tags = {app: f"{number}" * 12 for number, app in enumerate(APPS, 1)}
    objects = render(more=[f"--set-string={app}.image.tag={tag}" for app, tag in tags.items()])
    text = yaml.safe_dump_all(objects)
    for app, tag in tags.items():
        assert f"sensorpipe-{app}:{tag}" in text


def test_only_the_cluster_of_its_own_is_removed(path: Path):
    add(path, "docker", "kind", "kubectl", "helm", "curl")
    assert demo(path, "down").returncode == 0
    assert [note for note in notes(path) if "delete" in note] == [
        "kind delete cluster --name sensorpipe-demo"
    ]
