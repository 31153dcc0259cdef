"""images/build.py builds release images without the tests, and leaves no old layers behind."""

import ast
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import build
import pytest
from build import Builder
from support.services import ROOT

DOCKERFILE = build.DOCKERFILE.read_text().splitlines()

OCI = "org.opencontainers.image."

BUILT = """\
[1/2] STEP 2/9: LABEL dev.sensorpipe.layer=shared
--> Using cache 24382bb9dcaf46b229ff32748a0f40ff00c90ec3e3fb74a1c19393744273d6c3
--> 24382bb9dca
[1/2] STEP 3/9: RUN pip
--> f9181bdfeb3
[2/2] COMMIT sensorpipe-server:1
--> fdd6551e547
Successfully tagged localhost/sensorpipe-server:1
"""

LISTED = f"""\
sha256:fdd6551e547{"0" * 53} localhost/sensorpipe-server
sha256:f9181bdfeb3{"0" * 53} <none>
sha256:5e2af118696{"0" * 53} <none>
sha256:2412d4628ab{"0" * 53} localhost/sensorpipe-server
sha256:ca9bd82304d{"0" * 53}
"""


class Tool:
    """Stands in for docker, podman or buildah: notes commands, and prints what they would."""

    def __init__(self, **printed: str) -> None:
        self.commands: list[tuple[str, ...]] = []
        self.printed = printed
        self.written: Path | None = None
        """What a push writes."""

    def __call__(self, *command: str, **_: object) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        if command[1] == "push" and self.written is not None:
            self.written.write_text("image")
        return subprocess.CompletedProcess(command, 0, self.printed.get(command[1], ""), "")


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Tool:
    found = Tool(build=BUILT, images=LISTED)
    monkeypatch.setattr(build, "_attempt", found)
    return found


def test_a_build_tells_its_layers(tool: Tool):
    used = Builder("buildah").build("x:1", Path("d"), Path(), arguments={}, secrets={})
    assert used == {"24382bb9dca", "f9181bdfeb3", "fdd6551e547"}
    assert tool.commands[0][:2] == ("buildah", "build")


@pytest.mark.parametrize("name", ["podman", "buildah"])
def test_only_untagged_layers_of_ours_that_are_not_used_are_removed(tool: Tool, name: str):
    Builder(name).prune("server", {"f9181bdfeb3", "fdd6551e547"})
    listing, removal = tool.commands
    assert "--filter=label=dev.sensorpipe.layer=server" in listing
    assert removal == (name, "rmi", f"5e2af118696{'0' * 53}", f"ca9bd82304d{'0' * 53}")


def test_docker_limits_its_cache_itself(tool: Tool):
    Builder("docker").prune("server", set())
    assert tool.commands == []


def test_an_image_and_its_archive_are_built_and_its_old_layers_pruned(tool: Tool, tmp_path: Path):
    archive = tmp_path / "dist/server.tar"
    tool.written = archive.with_suffix(".unfinished")
    build.build_image(Builder("buildah"), "server", "x:1", base="b:2", archive=archive)
    assert archive.read_text() == "image"
    (built,) = [command for command in tool.commands if command[1] == "build"]
    given = {"--tag=x:1", "--build-arg=APP=server", "--build-arg=BASE_IMAGE=b:2"}
    assert given | {"--label=org.opencontainers.image.base.name=b:2"} <= set(built)
    labels = [word for command in tool.commands for word in command if "filter=label" in word]
    assert labels == [f"--filter=label={build.LABEL}={name}" for name in ("server", "shared")]


def test_an_image_says_what_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    found = build.labels("server", build.default_base())
    revision = found.pop("org.opencontainers.image.revision", "")
    assert {key.removeprefix(OCI) for key in found} == {
        "title", "description", "version", "licenses", "created", "base.name", "base.digest"
    }  # fmt: skip
    assert found["org.opencontainers.image.created"] == "2023-11-14T22:13:20Z"
    assert found["org.opencontainers.image.title"] == "sensorpipe-server"
    assert re.fullmatch(r"([0-9a-f]{40}(-dirty)?)?", revision)


def test_what_is_not_known_has_no_label(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setattr(build, "_attempt", Tool())  # no working tree of git says anything
    found = build.labels("server", "localhost/base:1")
    assert found["org.opencontainers.image.base.name"] == "localhost/base:1"
    assert not {"created", "revision", "base.digest"} & {key.removeprefix(OCI) for key in found}


def test_the_base_is_pinned_by_digest():
    name, _, digest = build.default_base().partition("@")
    assert re.fullmatch(r"docker\.io/library/python:3\.13\.\d+-slim-\w+", name)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)


def test_every_layer_has_the_label():
    starts = [i for i, line in enumerate(DOCKERFILE) if line.startswith("FROM ")]
    for start in starts:
        rest = [line for line in DOCKERFILE[start + 1 :] if line and not line.startswith("#")]
        assert rest[0] == f"LABEL {build.LABEL}=shared"
        assert rest[rest.index("ARG APP") + 1] == f"LABEL {build.LABEL}=${{APP}}"


def test_every_layer_of_a_part_has_the_label():
    for file in (ROOT / "tests/support/kube/parts").glob("*/Dockerfile"):
        lines = file.read_text().splitlines()
        start = lines.index("FROM ${BASE_IMAGE}")
        assert lines[start + 1 : start + 3] == ["ARG PART", f"LABEL {build.LABEL}=${{PART}}"]


def test_the_context_has_what_is_copied_and_nothing_else():
    copied = {
        source
        for line in DOCKERFILE
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert any(fnmatch("tests", line) for line in ignored)


@pytest.mark.parametrize("script", ["build", "sbom"])
def test_it_needs_the_standard_library_only(script: str):
    tree = ast.parse((ROOT / f"images/{script}.py").read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


def test_a_program_that_does_not_exist_is_refused():
    argv = [sys.executable, str(ROOT / "images/build.py"), "sever"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no program sever; there are compactor, generator, operator, server" in done.stderr


def test_make_images_does_not_need_the_tests():
    argv = ["make", "--dry-run", "images", "ARGS=server"]
    done = subprocess.run(argv, check=True, cwd=ROOT, capture_output=True, text=True)
    assert "images/build.py server" in done.stdout
    assert "tests/" not in done.stdout
